// SPDX-License-Identifier: GPL-2.0
/* The parsers of what the kernel writes. */
#include "tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "memcg.h"
#include "numa.h"
#include "numamaps.h"
#include "smaps.h"

static void numamaps_anon(void **state)
{
	struct numa_line line;

	(void)state;
	assert_int_equal(numamaps_parse(
		"7f5c2c000000 default anon=33 dirty=33 active=0 N0=20 N1=13 kernelpagesize_kB=4\n7f",
		4096, &line), 0);
	assert_true(line.start == 0x7f5c2c000000ULL);
	assert_string_equal(line.file, "");
	assert_int_equal(line.anon, 33);
	assert_int_equal(line.total, 33);
	assert_int_equal(line.count, 2);
	assert_int_equal(line.nodes[1].node, 1);
	assert_int_equal(line.nodes[1].pages, 13);
	assert_int_equal(line.page_size, 4096);
	assert_false(line.huge);
}

static void numamaps_file_with_octal(void **state)
{
	struct numa_line line;

	(void)state;
	assert_int_equal(numamaps_parse(
		"55d0 bind:0-1 file=/tmp/a\\040N9=7\\134b\\040(deleted) mapped=4 mapmax=2 N3=4",
		4096, &line), 0);
	assert_string_equal(line.file, "/tmp/a N9=7\\b (deleted)");
	assert_int_equal(line.total, 4);
	assert_int_equal(line.nodes[0].node, 3);
	assert_int_equal(line.anon, 0);
}

static void numamaps_huge(void **state)
{
	struct numa_line line;

	(void)state;
	assert_int_equal(numamaps_parse(
		"7f0000000000 default file=/anon_hugepage\\040(deleted) huge anon=3 dirty=3 N0=1 N2=2 kernelpagesize_kB=2048",
		4096, &line), 0);
	assert_true(line.huge);
	assert_int_equal(line.page_size, 2 * MIB);
	assert_int_equal(line.total, 3);
}

static void numamaps_policies(void **state)
{
	static const char *const names[] = {
		"default", "prefer:1", "prefer (many):0-1", "prefer (many)=static:2",
		"weighted interleave:0-3", "weighted interleave=relative:0", "local",
	};
	struct numa_line line;
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "10 %s file=/x N0=3\n", names[i]);
		assert_int_equal(numamaps_parse(text, 4096, &line), 0);
		assert_string_equal(line.policy, names[i]);
		assert_string_equal(line.file, "/x");
		assert_int_equal(line.total, 3);
	}
	assert_int_equal(numamaps_parse("10 weighted N0=1\n", 4096, &line), 0);
	assert_string_equal(line.policy, "weighted");
	assert_int_equal(numamaps_parse("10 prefer\n (many)", 4096, &line), 0);
	assert_string_equal(line.policy, "prefer");
}

static void numamaps_many_nodes(void **state)
{
	char text[32 * CGM_NODES_MAX] = "10 interleave:0-1023";
	struct numa_line line;

	(void)state;
	for (int n = 0; n < CGM_NODES_MAX; n++)
		sprintf(text + strlen(text), " N%d=%d", n, n + 1);
	assert_int_equal(numamaps_parse(text, 4096, &line), 0);
	assert_int_equal(line.count, CGM_NODES_MAX);
	assert_int_equal(line.total, CGM_NODES_MAX * (CGM_NODES_MAX + 1) / 2);
	assert_int_equal(line.nodes[CGM_NODES_MAX - 1].node, CGM_NODES_MAX - 1);
	assert_int_equal(line.nodes[CGM_NODES_MAX - 1].pages, CGM_NODES_MAX);
	/* no kernel writes more */
	strcat(text, " N0=1");
	assert_int_equal(numamaps_parse(text, 4096, &line), 0);
	assert_int_equal(line.count, CGM_NODES_MAX);
}

static void numamaps_bad(void **state)
{
	struct numa_line line;

	(void)state;
	assert_int_equal(numamaps_parse("hello world", 4096, &line), -EINVAL);
	assert_int_equal(numamaps_parse("", 4096, &line), -EINVAL);
	assert_int_equal(numamaps_parse("10 default N99999=5 Nx=3", 4096, &line), 0);
	assert_int_equal(line.total, 0);
}

/* What stands on the next line is of another mapping. */
static void numamaps_ends_with_its_line(void **state)
{
	struct numa_line line;

	(void)state;
	assert_int_equal(numamaps_parse("10 default N0=\n55 default N1=3", 4096, &line), 0);
	assert_int_equal(line.total, 0);
	assert_int_equal(numamaps_parse("10 default anon=\n55 default", 4096, &line), 0);
	assert_int_equal(line.anon, 0);
	assert_int_equal(numamaps_parse("10 default N0=-5", 4096, &line), 0);
	assert_int_equal(line.total, 0);
}

struct sums {
	int64_t bytes[CGM_KIND_COUNT][4];
};

static void add(void *data, enum cgm_kind kind, int node, int64_t bytes)
{
	struct sums *sums = data;

	assert_in_range(node, 0, 3);
	sums->bytes[kind][node] += bytes;
}

static void add_any(void *data, enum cgm_kind kind, int node, int64_t bytes)
{
	int64_t *last = data;

	(void)kind;
	(void)node;
	*last = bytes;
}

static void memcg_extremes(void **state)
{
	int64_t last = 4711;

	(void)state;
	assert_int_equal(memcg_parse("shmem N0=9223372036854775808\n", add_any, &last), 0);
	assert_true(last == -INT64_MAX);
	last = 4711;
	assert_int_equal(memcg_parse("anon N-0=5 N1=6\n", add_any, &last), 0);
	assert_int_equal(last, 4711);
	assert_int_equal(memcg_parse("anon N0=\n7", add_any, &last), 0);
	assert_int_equal(last, 0);
}

/* A blank line begins no mapping. */
static void smaps_blank_line(void **state)
{
	struct smaps_vma vma;
	const char *text = "10-20 rw-p\n\n30-40 rw-p\n", *next;

	(void)state;
	next = smaps_next(text, &vma);
	assert_non_null(next);
	assert_true(vma.start == 0x10);
	next = smaps_next(next, &vma);
	assert_non_null(next);
	assert_true(vma.start == 0x30);
	assert_null(smaps_next(next, &vma));
}

static void zoneinfo_blank_line(void **state)
{
	(void)state;
	assert_int_equal(zoneinfo_low("Node 1, zone\n\n\n   low 5\n", 1), 5);
}

static void memcg_kinds(void **state)
{
	struct sums sums = { 0 };

	(void)state;
	assert_int_equal(memcg_parse("anon N0=4096 N1=8192\nfile N0=100 N1=50\n"
				     "kernel_stack N0=16 N1=0\nshmem N0=30 N1=50\n"
				     "file_mapped N0=1 N1=1\nanon_thp N0=7 N1=7\n"
				     "slab_reclaimable N0=2 N1=3\n", add, &sums), 0);
	assert_int_equal(sums.bytes[CGM_KIND_ANON][1], 8192);
	assert_int_equal(sums.bytes[CGM_KIND_SHMEM][0], 30);
	assert_int_equal(sums.bytes[CGM_KIND_FILE][0], 70);
	assert_int_equal(sums.bytes[CGM_KIND_FILE][1], 0);
	assert_int_equal(sums.bytes[CGM_KIND_KERNEL][0], 18);
	assert_int_equal(sums.bytes[CGM_KIND_KERNEL][1], 3);
	assert_int_equal(sums.bytes[CGM_KIND_HUGETLB][0], 0);
}

static void memcg_locked_and_huge(void **state)
{
	uint64_t locked, huge;

	(void)state;
	memcg_marks("anon N0=4096 N1=8192\nanon_thp N0=1 N1=2\nfile_thp N0=4 N1=0\n"
		    "shmem_thp N0=8 N1=16\ninactive_anon N0=64 N1=64\n"
		    "unevictable N0=100 N1=200\n", &locked, &huge);
	assert_int_equal(locked, 300);
	assert_int_equal(huge, 31);
	memcg_marks("", &locked, &huge);
	assert_int_equal(locked, 0);
	assert_int_equal(huge, 0);
}

static void smaps_mappings(void **state)
{
	static const char text[] =
		"7f0000000000-7f0000400000 rw-p 00000000 00:00 0 \n"
		"Size:               4096 kB\nAnonHugePages:      2048 kB\n"
		"ShmemPmdMapped:     2048 kB\nFilePmdMapped:         0 kB\n"
		"Locked:                0 kB\nVmFlags: rd wr mr lo ac \n"
		"7f0000400000-7f0000500000 r--p 00000000 fe:00 7 /lib/lo\n"
		"AnonHugePages:         0 kB\nVmFlags: rd mr mw me\n"
		"7f0000500000-7f0000600000 r--p 00000000 00:00 0";
	struct smaps_vma vma;
	const char *at = smaps_next(text, &vma);

	(void)state;
	assert_int_equal(vma.start, 0x7f0000000000);
	assert_int_equal(vma.huge, 4 << 20);
	assert_true(vma.locked);
	at = smaps_next(at, &vma);
	assert_int_equal(vma.start, 0x7f0000400000);
	assert_int_equal(vma.huge, 0);
	assert_false(vma.locked);
	at = smaps_next(at, &vma);
	assert_int_equal(vma.start, 0x7f0000500000);
	assert_null(smaps_next(at, &vma));
	assert_null(smaps_next("no such process", &vma));
}

static void memcg_bad(void **state)
{
	struct sums sums = { 0 };

	(void)state;
	assert_int_equal(memcg_parse("", add, &sums), -EINVAL);
	assert_int_equal(memcg_parse("total=12 N0=3\n", add, &sums), -EINVAL);
	assert_int_equal(memcg_parse("anon Nx=3 N0=4\n", add, &sums), 0);
	assert_int_equal(sums.bytes[CGM_KIND_ANON][0], 0);
}

static void zoneinfo(void **state)
{
	static const char text[] =
		"Node 0, zone      DMA\n"
		"  per-node stats\n      nr_inactive_anon 7\n"
		"  pages free     3840\n        min      100\n        low      125\n"
		"        high     150\n"
		"        protection: (0, 900, 900)\n"
		"      nr_free_pages 3840\n"
		"  pagesets\n    cpu: 0\n              count:    5\n"
		"              high:     378\n              low_x:    9\n"
		"Node 0, zone   Normal\n  pages free     10\n        min      1\n"
		"        low      2\n"
		"Node 1, zone   Normal\n        low      40\n"
		"Node 10, zone   Normal\n        low      77\n";

	(void)state;
	assert_int_equal(zoneinfo_low(text, 0), 127);
	assert_int_equal(zoneinfo_low(text, 1), 40);
	assert_int_equal(zoneinfo_low(text, 10), 77);
	assert_int_equal(zoneinfo_low(text, 2), 0);
}

static void engine_stat(void **state)
{
	struct engine_stat stat;

	(void)state;
	assert_int_equal(engine_parse_stat(
		"migrate_pending 2\nmigrate_held 0\nmigrate_moved_thp 512\n"
		"migrate_moved 1000\nmigrate_fail_nomem 5\nmigrate_new_thing 9\n", &stat), 0);
	assert_int_equal(stat.value[EC_PENDING], 2);
	assert_int_equal(stat.value[EC_MOVED], 1000);
	assert_int_equal(stat.value[EC_FAIL_NOMEM], 5);
	assert_int_equal(stat.value[EC_GONE], 0);
	assert_int_equal(engine_parse_stat("nothing 1\n", &stat), -EINVAL);
	assert_int_equal(engine_parse_stat("xmigrate_pending 1\n", &stat), -EINVAL);
	assert_int_equal(engine_parse_stat("migrate_pending x\n", &stat), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numamaps_anon),
		cmocka_unit_test(numamaps_file_with_octal),
		cmocka_unit_test(numamaps_huge),
		cmocka_unit_test(numamaps_ends_with_its_line),
		cmocka_unit_test(memcg_extremes),
		cmocka_unit_test(smaps_blank_line),
		cmocka_unit_test(zoneinfo_blank_line),
		cmocka_unit_test(numamaps_bad),
		cmocka_unit_test(numamaps_policies),
		cmocka_unit_test(numamaps_many_nodes),
		cmocka_unit_test(memcg_kinds),
		cmocka_unit_test(memcg_locked_and_huge),
		cmocka_unit_test(memcg_bad),
		cmocka_unit_test(smaps_mappings),
		cmocka_unit_test(zoneinfo),
		cmocka_unit_test(engine_stat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
