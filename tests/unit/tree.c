// SPDX-License-Identifier: GPL-2.0
/* A file tree that looks like a machine to the library. */
#include "tree.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pagemap.h"

void tree_make(struct tree *tree)
{
	strcpy(tree->dir, "/tmp/cgm-unit-XXXXXX");
	assert_non_null(mkdtemp(tree->dir));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void tree_remove(struct tree *tree)
{
	nftw(tree->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_parents(char *path)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
}

void tree_write(const struct tree *tree, const char *text, const char *fmt, ...)
{
	char path[512];
	va_list ap;
	FILE *file;
	int n = snprintf(path, sizeof(path), "%s/", tree->dir);

	va_start(ap, fmt);
	vsnprintf(path + n, sizeof(path) - n, fmt, ap);
	va_end(ap);
	make_parents(path);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* To be given to free(3). */
char *tree_read(const struct tree *tree, const char *path)
{
	char full[512], *text = calloc(1, 65536);
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", tree->dir, path);
	file = fopen(full, "r");
	assert_non_null(file);
	assert_non_null(text);
	assert_true(fread(text, 1, 65535, file) < 65535);
	fclose(file);
	return text;
}

static void write_node(const struct tree *tree, int node)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "Node %d MemTotal:        1048576 kB\n"
		 "Node %d MemFree:          524288 kB\n"
		 "Node %d Active(file):      20480 kB\n"
		 "Node %d Inactive(file):    20480 kB\n"
		 "Node %d Dirty:                 0 kB\n"
		 "Node %d Writeback:             0 kB\n"
		 "Node %d Mapped:            10240 kB\n"
		 "Node %d SReclaimable:       1024 kB\n",
		 node, node, node, node, node, node, node, node);
	tree_write(tree, text, "sys/devices/system/node/node%d/meminfo", node);
	snprintf(text, sizeof(text), "%d %d %d %d\n", node == 0 ? 10 : 20 + node,
		 node == 1 ? 10 : 21, node == 2 ? 10 : 22, node == 3 ? 10 : 23);
	tree_write(tree, text, "sys/devices/system/node/node%d/distance", node);
}

void tree_machine(const struct tree *tree, int engine)
{
	char zones[4096] = "";

	tree_write(tree,
		   "24 1 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
		   "25 1 0:23 / /dev/shm rw - tmpfs tmpfs rw\n", "proc/self/mountinfo");
	tree_write(tree,
		   "Name:\ttest\nCapEff:\t000001ffffffffff\nMems_allowed_list:\t0-3\n",
		   "proc/self/status");
	tree_write(tree, "6.12.0-test\n", "proc/sys/kernel/osrelease");
	for (int n = 0; n < 4; n++) {
		write_node(tree, n);
		snprintf(zones + strlen(zones), sizeof(zones) - strlen(zones),
			 "Node %d, zone   Normal\n  pages free     131072\n"
			 "        boost    0\n        min      1024\n"
			 "        low      2048\n        high     3072\n", n);
	}
	tree_write(tree, zones, "proc/zoneinfo");
	tree_write(tree, "0-3\n", "sys/devices/system/node/online");
	tree_write(tree, "0-3\n", "sys/devices/system/node/has_memory");
	tree_write(tree, "cpuset memory\n", "sys/fs/cgroup/cgroup.controllers");
	tree_write(tree, "0-3\n", "sys/fs/cgroup/cpuset.mems.effective");
	tree_write(tree, "", "sys/fs/cgroup/cgroup.procs");
	if (engine)
		tree_write(tree, "2000\n", "sys/kernel/mm/numa/migrate/max_stall_usec");
}

void tree_anon(const struct tree *tree, const char *path, const uint64_t anon[4])
{
	char text[512];

	snprintf(text, sizeof(text),
		 "anon N0=%llu N1=%llu N2=%llu N3=%llu\nfile N0=0 N1=0 N2=0 N3=0\n",
		 (unsigned long long)anon[0], (unsigned long long)anon[1],
		 (unsigned long long)anon[2], (unsigned long long)anon[3]);
	tree_write(tree, text, "sys/fs/cgroup%s/memory.numa_stat", path);
}

void tree_cgroup(const struct tree *tree, const char *path, const char *mems,
		 const uint64_t anon[4])
{
	tree_write(tree, mems, "sys/fs/cgroup%s/cpuset.mems", path);
	tree_write(tree, mems, "sys/fs/cgroup%s/cpuset.mems.effective", path);
	tree_write(tree, "", "sys/fs/cgroup%s/cgroup.procs", path);
	tree_anon(tree, path, anon);
}

void tree_pages(const struct tree *tree, int pid, uint64_t start, uint64_t end)
{
	uint64_t present = PAGEMAP_PRESENT | PAGEMAP_EXCLUSIVE;
	char text[128], path[128];
	int fd;

	snprintf(text, sizeof(text), "%llx-%llx rw-p 00000000 00:00 0 \n",
		 (unsigned long long)start, (unsigned long long)end);
	tree_write(tree, text, "proc/%d/maps", pid);
	tree_write(tree, "", "proc/%d/pagemap", pid);
	snprintf(path, sizeof(path), "%s/proc/%d/pagemap", tree->dir, pid);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	for (uint64_t at = start; at < end; at += TREE_PAGE)
		assert_int_equal(pwrite(fd, &present, sizeof(present),
					at / TREE_PAGE * sizeof(present)), sizeof(present));
	close(fd);
}

void tree_start(const struct tree *tree, int tid, int start)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "%d (a) b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0\n", tid, start);
	tree_write(tree, text, "proc/%d/stat", tid);
}

struct cgm_context *tree_context(const struct tree *tree)
{
	struct cgm_context_options options = {
		.size = sizeof(options),
		.sysroot = tree->dir,
		.flags = CGM_CONTEXT_WRITE_SYSROOT,
	};
	struct cgm_context *ctx;

	assert_int_equal(cgm_context_new(&ctx, &options), 0);
	return ctx;
}
