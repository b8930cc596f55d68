// SPDX-License-Identifier: GPL-2.0
/* cgmigrate features: what this kernel and system can do, and what that means. */
#include <stdlib.h>

#include "cgmigrate.h"

static const struct option long_options[] = {
	COMMON_LONG,
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate features\n"
	"\n"
	"Tell what this kernel and system can do, and what that means.\n"
	OPTIONS_HEAD
	COMMON_HELP;

static const struct {
	unsigned int flag;
	const char *name;
	const char *yes;
	const char *no;
} table[] = {
	{ CGM_FEATURE_NUMA, "numa", "memory on more than one node",
	  "memory on one node only: there is nowhere to move to" },
	{ CGM_FEATURE_ENGINE, "engine",
	  "the kernel moves memory in the background: bounded stalls, limits, an account",
	  "stock kernel: cgmigrate moves the pages itself, in batches" },
	{ CGM_FEATURE_MEMCG, "memcg", "placement of a cgroup is read in one go",
	  "placement is summed up from the processes" },
	{ CGM_FEATURE_MOVE_PAGES, "move_pages", "single pages can be moved",
	  "no move_pages(2): without the engine nothing can be moved" },
	{ CGM_FEATURE_MIGRATE_PAGES, "migrate_pages", "migrate_pages(2) works",
	  "no migrate_pages(2)" },
	{ CGM_FEATURE_PAGEMAP_SCAN, "pagemap_scan", "sparse address spaces are walked quickly",
	  "no PAGEMAP_SCAN (Linux 6.7): page tables are read in full" },
	{ CGM_FEATURE_PAGEMAP_PFN, "pagemap_pfn", "shared pages are told apart",
	  "needs CAP_SYS_ADMIN: shared pages on nodes of both sets stay where they are" },
	{ CGM_FEATURE_KPAGEFLAGS, "kpageflags", "pinned pages are told from busy ones",
	  "needs root: pages that stayed are all called busy" },
	{ CGM_FEATURE_SYS_NICE, "cap_sys_nice", "pages shared by processes move",
	  "without CAP_SYS_NICE only unshared pages of own processes move" },
	{ CGM_FEATURE_SYS_PTRACE, "cap_sys_ptrace", "processes of all users can be looked at",
	  "without CAP_SYS_PTRACE only own processes can be looked at" },
	{ CGM_FEATURE_SYS_ADMIN, "cap_sys_admin", "everything in /proc can be read",
	  "some files of /proc cannot be read" },
	{ CGM_FEATURE_SYSTEMD, "systemd",
	  "PID 1 is systemd: cpusets of its units are changed through it",
	  "no systemd: cpusets belong to whoever writes them" },
};

static void print_features(const struct app *app)
{
	const struct cgm_features *f = &app->features;
	char nodes[256];

	say("kernel          %s\n", f->release);
	printf("backend         %s\n", cgm_backend_name(f->backend));
	printf("cgroups         %s\n", cgm_cgroup_mode_name(f->mode));
	if (f->cpuset_version)
		say("cpusets         v%d at %s\n", f->cpuset_version, f->cpuset_mount);
	else
		say("cpusets         none mounted\n");
	printf("nodes           %s\n", nodes_text(&f->online, nodes, sizeof(nodes)));
	printf("with memory     %s\n", nodes_text(&f->memory, nodes, sizeof(nodes)));
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		bool has = f->flags & table[i].flag;

		printf("%-15s %-3s  %s\n", table[i].name, has ? "yes" : "no",
		       has ? table[i].yes : table[i].no);
	}
	print_knobs(app);
}

static json_t *json_features(const struct app *app)
{
	const struct cgm_features *f = &app->features;
	json_t *features = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		json_object_set_new(features, table[i].name,
				    json_boolean(f->flags & table[i].flag));
	return json_pack("{s:s, s:o, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "command", app->verb, "kernel", json_text(f->release),
			 "backend", cgm_backend_name(f->backend),
			 "cgroups", cgm_cgroup_mode_name(f->mode),
			 "cpuset_version", f->cpuset_version,
			 "cpuset_mount", json_text(f->cpuset_mount),
			 "nodes", json_nodes(&f->online),
			 "memory_nodes", json_nodes(&f->memory),
			 "own_nodes", json_nodes(&f->own), "features", features,
			 "engine", json_knobs(app));
}

static const struct options options = {
	.shorts = COMMON_SHORT,
	.longs = long_options,
	.help = help,
};

int cmd_features(struct app *app, int argc, char **argv)
{
	int code = read_options(app, argc, argv, &options, NULL);

	if (code != GO_ON)
		return code;
	if (optind < argc)
		return usage_error(app, "%s: features takes no target", argv[optind]);
	code = app_open(app);
	if (code)
		return code;
	if (app->json)
		print_json(app, json_features(app));
	else
		print_features(app);
	return EXIT_OK;
}
