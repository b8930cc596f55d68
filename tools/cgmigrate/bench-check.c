// SPDX-License-Identifier: GPL-2.0
/* What can be measured here, and what is missing for the rest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define SLACK (16ULL << 20)	/* what the processes need besides */
#define THP "sys/kernel/mm/transparent_hugepage/"

const char *bench_kind_name(enum bench_kind kind)
{
	static const char * const names[] = {
		[BENCH_ANON] = "anon",
		[BENCH_THP] = "thp",
		[BENCH_SHMEM] = "shmem",
		[BENCH_FILE] = "file",
		[BENCH_HUGETLB] = "hugetlb",
	};

	return names[kind];
}

/* Note what cannot be measured, and why. */
void bench_miss(struct bench *bench, const char *what, const char *why)
{
	json_array_append_new(bench->missing,
			      json_pack("{s:s, s:o}", "what", what, "message",
					json_text(why)));
}

/* ---- ways ---- */

static bool process_way_missing(struct bench *bench, enum bench_way way, char *why,
				size_t size)
{
	const struct cgm_features *f = &bench->app->features;
	unsigned int flag = way == BENCH_MOVE_PAGES ? CGM_FEATURE_MOVE_PAGES :
						      CGM_FEATURE_MIGRATE_PAGES;
	char nodes[256];

	if (!(f->flags & flag)) {
		snprintf(why, size, "this kernel has no %s(2)",
			 bench_way_name(flag == CGM_FEATURE_MOVE_PAGES ? BENCH_MOVE_PAGES :
					BENCH_MIGRATE_PAGES));
		return true;
	}
	if (!cgm_nodeset_subset(&bench->from, &f->own) ||
	    !cgm_nodeset_subset(&bench->to, &f->own)) {
		snprintf(why, size,
			 "the cgroup that cgmigrate itself is in may use nodes %s only",
			 nodes_text(&f->own, nodes, sizeof(nodes)));
		return true;
	}
	if (way != BENCH_MIGRATEPAGES)
		return false;
	bench->program = find_tool("migratepages");
	if (!bench->program)
		snprintf(why, size, "no program of that name; it comes with numactl");
	return !bench->program;
}

static void check_ways(struct bench *bench)
{
	for (enum bench_way way = 0; way < BENCH_WAYS; way++) {
		char why[1200];

		if (!(bench->ways & 1u << way))
			continue;
		if (way == BENCH_CPUSET ? bench_cgroup_missing(bench, why, sizeof(why)) :
		    process_way_missing(bench, way, why, sizeof(why))) {
			bench_miss(bench, bench_way_name(way), why);
			bench->ways &= ~(1u << way);
		} else if (bench->rate && !bench_way_limits(bench, way)) {
			snprintf(why, sizeof(why), "%s: cannot be limited%s",
				 bench_way_name(way), way == BENCH_CPUSET ?
				 ": this kernel has no migration engine" : "");
			bench_miss(bench, "--rate", why);
		}
	}
}

/* ---- kinds ---- */

static bool thp_missing(struct bench *bench, char *why, size_t size)
{
	char text[256];

	if (!read_text(bench->app, THP "enabled", text, sizeof(text))) {
		snprintf(why, size, "this kernel has no transparent huge pages");
		return true;
	}
	if (strstr(text, "[never]")) {
		snprintf(why, size, "/" THP "enabled is \"never\"");
		return true;
	}
	read_text(bench->app, THP "hpage_pmd_size", text, sizeof(text));
	bench->thp_size = strtoull(text, NULL, 10);
	if (!bench->thp_size)
		snprintf(why, size, "/" THP "hpage_pmd_size cannot be read");
	else if (bench->size < bench->thp_size)
		snprintf(why, size, "--size is less than one of them");
	return bench->size < bench->thp_size || !bench->thp_size;
}

/* Free huge pages on the node of these that has fewest. */
static uint64_t fewest_huge(struct bench *bench, const cgm_nodeset *nodes, int *node)
{
	uint64_t fewest = UINT64_MAX;

	for (int n = cgm_nodeset_next(nodes, -1); n >= 0; n = cgm_nodeset_next(nodes, n)) {
		uint64_t pages = cgm_node_huge_free(bench->app->ctx, n, bench->huge_size);

		if (pages < fewest) {
			fewest = pages;
			*node = n;
		}
	}
	return fewest;
}

static uint64_t huge_pages(struct bench *bench, int *node)
{
	int from, to;
	uint64_t old = fewest_huge(bench, &bench->from, &from);
	uint64_t new = fewest_huge(bench, &bench->to, &to);

	*node = old < new ? from : to;
	return old < new ? old : new;
}

static bool hugetlb_missing(struct bench *bench, char *why, size_t size)
{
	char text[8192];
	const char *line;
	int node;

	read_text(bench->app, "proc/meminfo", text, sizeof(text));
	line = strstr(text, "Hugepagesize:");
	bench->huge_size = line ? strtoull(line + 13, NULL, 10) * 1024 : 0;
	if (!bench->huge_size)
		snprintf(why, size, "this kernel has no huge pages");
	else if (bench->size < bench->huge_size)
		snprintf(why, size, "--size is less than one of them");
	else if (!huge_pages(bench, &node))
		snprintf(why, size,
			 "no page is free in the pool of node %d: write a number to /sys/devices/system/node/node%d/hugepages/hugepages-%llukB/nr_hugepages",
			 node, node, (unsigned long long)bench->huge_size / 1024);
	else
		return false;
	return true;
}

static bool file_missing(struct bench *bench, char *why, size_t size)
{
	if (bench->app->sysroot || !access(bench->folder, W_OK | X_OK))
		return false;
	snprintf(why, size, "no file can be made in %s: %s; name a folder with --folder",
		 bench->folder, strerror(errno));
	return true;
}

static void check_kinds(struct bench *bench)
{
	static bool (*const missing[BENCH_KINDS])(struct bench *, char *, size_t) = {
		[BENCH_THP] = thp_missing,
		[BENCH_FILE] = file_missing,
		[BENCH_HUGETLB] = hugetlb_missing,
	};

	for (enum bench_kind kind = 0; kind < BENCH_KINDS; kind++) {
		char why[1200];

		if (!(bench->kinds & 1u << kind) || !missing[kind] ||
		    !missing[kind](bench, why, sizeof(why)))
			continue;
		bench_miss(bench, bench_kind_name(kind), why);
		bench->kinds &= ~(1u << kind);
	}
}

/* Whole pages, as many on every node; of huge pages no more than there are. */
uint64_t bench_size(struct bench *bench, enum bench_kind kind)
{
	uint64_t page = kind == BENCH_HUGETLB ? bench->huge_size :
			kind == BENCH_THP ? bench->thp_size :
			(uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t nodes = cgm_nodeset_weight(&bench->from);
	uint64_t each = bench->size / nodes / page, most;
	int node;

	if (!each)
		each = 1;
	if (kind == BENCH_HUGETLB) {
		most = huge_pages(bench, &node);
		each = each < most ? each : most;
	}
	return each * nodes * page;
}

/* ---- nodes ---- */

static int check_nodes(struct bench *bench, const cgm_nodeset *set, const char *option)
{
	const struct cgm_features *f = &bench->app->features;
	char nodes[256], all[256];

	if (cgm_nodeset_subset(set, &f->memory))
		return 0;
	return fail(bench->app, EXIT_REFUSED, "%s %s: nodes with memory here are %s",
		    option, nodes_text(set, nodes, sizeof(nodes)),
		    nodes_text(&f->memory, all, sizeof(all)));
}

/* The first so many nodes of @usable that are not in the other set. */
static void fill_up(cgm_nodeset *set, const cgm_nodeset *other, int count,
		    const cgm_nodeset *usable)
{
	for (int n = cgm_nodeset_next(usable, -1); n >= 0 && count;
	     n = cgm_nodeset_next(usable, n))
		if (!cgm_nodeset_has(other, n)) {
			cgm_nodeset_add(set, n);
			count--;
		}
}

/* What is not named is chosen among the nodes that we may use, or all. */
static int choose_nodes(struct bench *bench)
{
	const struct cgm_features *f = &bench->app->features;
	int from = cgm_nodeset_weight(&bench->from), to = cgm_nodeset_weight(&bench->to);
	cgm_nodeset usable;

	cgm_nodeset_and(&usable, &f->memory, &f->own);
	if (cgm_nodeset_weight(&usable) < 2)
		usable = f->memory;
	if (!from)
		fill_up(&bench->from, &bench->to, to ? to : 1, &usable);
	from = cgm_nodeset_weight(&bench->from);
	if (!to)
		fill_up(&bench->to, &bench->from, from, &usable);
	if (from == cgm_nodeset_weight(&bench->to))
		return 0;
	return usage_error(bench->app,
			   "--from and --to: as many nodes are needed in both");
}

static int check_all_nodes(struct bench *bench)
{
	const struct cgm_features *f = &bench->app->features;
	cgm_nodeset both;
	char nodes[256];
	int code = check_nodes(bench, &bench->from, "--from");

	if (!code)
		code = check_nodes(bench, &bench->to, "--to");
	if (code)
		return code;
	if (cgm_nodeset_weight(&f->memory) < 2)
		return fail(bench->app, EXIT_REFUSED,
			    "memory on one node only (%s): there is nowhere to move to",
			    nodes_text(&f->memory, nodes, sizeof(nodes)));
	code = choose_nodes(bench);
	if (code)
		return code;
	cgm_nodeset_and(&both, &bench->from, &bench->to);
	if (!cgm_nodeset_weight(&both))
		return 0;
	return usage_error(bench->app, "--from and --to: have both node %d",
			   cgm_nodeset_next(&both, -1));
}

static int check_room(struct bench *bench, const cgm_nodeset *nodes)
{
	uint64_t needed = bench->size / cgm_nodeset_weight(nodes) + SLACK;
	char want[32], have[32];

	for (int n = cgm_nodeset_next(nodes, -1); n >= 0; n = cgm_nodeset_next(nodes, n)) {
		struct cgm_node node = { .size = sizeof(node) };
		int err = cgm_node_read(bench->app->ctx, n, &node);
		uint64_t room = node.free > node.low ? node.free - node.low : 0;

		if (err)
			return fail_errno(bench->app, err);
		if (room < needed)
			return fail(bench->app, EXIT_REFUSED,
				    "no room on node %d: %s are needed and %s are free above the low watermark; take less with --size, or other nodes with --from and --to",
				    n, size_text(bench->app, needed, want, sizeof(want)),
				    size_text(bench->app, room, have, sizeof(have)));
	}
	return 0;
}

/* Base pages are needed unless huge ones of the pool are all that is measured. */
static int check_rooms(struct bench *bench)
{
	int code;

	if (bench->kinds == 1u << BENCH_HUGETLB)
		return 0;
	code = check_room(bench, &bench->from);
	return code ? code : check_room(bench, &bench->to);
}

/* What was missed, in one line for an error. */
static void missing_text(const struct bench *bench, char *buf, size_t size)
{
	json_t *miss;
	size_t i;

	*buf = '\0';
	json_array_foreach(bench->missing, i, miss) {
		size_t len = strlen(buf);

		snprintf(buf + len, size - len, "%s%s: %s", i ? "; " : "",
			 json_string_value(json_object_get(miss, "what")),
			 json_string_value(json_object_get(miss, "message")));
	}
}

/* Before anything is allocated or made. 0, or an exit code. */
int bench_check(struct bench *bench)
{
	char text[1000];
	int code = check_all_nodes(bench);

	if (code)
		return code;
	check_ways(bench);
	check_kinds(bench);
	if (!bench->ways || !bench->kinds) {
		missing_text(bench, text, sizeof(text));
		return fail(bench->app, EXIT_REFUSED, "nothing can be measured: %s", text);
	}
	return check_rooms(bench);
}
