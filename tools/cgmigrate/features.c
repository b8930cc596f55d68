// SPDX-License-Identifier: GPL-2.0
/* cgmigrate features: what this kernel and system can do, and what that means. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	{ CGM_FEATURE_MIGRATE_PAGES, "migrate_pages",
	  "with the engine, --map moves a process node by node",
	  "no migrate_pages(2): with the engine, too, --map moves page by page" },
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
	{ CGM_FEATURE_SYS_ADMIN, "cap_sys_admin", "the kernel shows where each page is",
	  "without CAP_SYS_ADMIN the kernel hides where pages are: see pagemap_pfn" },
	{ CGM_FEATURE_SYSTEMD, "systemd",
	  "PID 1 is systemd: cpusets of its units are changed through it",
	  "no systemd: cpusets belong to whoever writes them" },
};

/* The kernel has it in every cgroup, or in none. */
static bool has_reclaim(struct app *app)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s%s/memory.reclaim",
		 app->sysroot ? app->sysroot : "", app->features.cpuset_mount);
	return app->features.flags & CGM_FEATURE_MEMCG && !access(path, F_OK);
}

static bool has_freezer(struct app *app)
{
	struct cgm_freezer freezer = { .size = sizeof(freezer) };
	struct cgm_group *root;
	int err = cgm_group_open(app->ctx, "/", &root);

	if (!err) {
		err = cgm_group_freezer(root, &freezer);
		cgm_group_unref(root);
	}
	shortage_note_error(err);
	return err != -EOPNOTSUPP;	/* a root itself is not frozen */
}

static bool has_libsystemd(struct app *app)
{
	void *handle = dlopen("libsystemd.so.0", RTLD_LAZY | RTLD_LOCAL);

	(void)app;
	if (handle)
		dlclose(handle);
	else if (strstr(dlerror(), strerror(ENOMEM)))
		shortage_note();
	return handle;
}

/* What the library has not looked for. */
static const struct {
	const char *name;
	bool (*has)(struct app *app);
	const char *yes;
	const char *no;
} probes[] = {
	{ "libsystemd", has_libsystemd, "systemd can be told of new nodes of its units",
	  "no libsystemd.so.0: systemd is not told of new nodes, and takes them back" },
	{ "memory_reclaim", has_reclaim, "page cache can be given back first: --cache drop",
	  "no memory.reclaim: --cache drop is refused" },
	{ "freezer", has_freezer, "processes can stand still while they move: --freeze",
	  "no freezer: --freeze is refused" },
	{ "plugin", plugin_is_there, "cgmigrate run: libcgroup's tools take memory along",
	  "libcgroup-cgmigrate.so is not installed: no cgmigrate run" },
};

static void print_feature(const char *name, bool has, const char *text)
{
	printf("%-15s %-3s  %s\n", name, has ? "yes" : "no", text);
}

/* Which pages cgmigrate can move itself. */
static void print_own(const struct cgm_features *f)
{
	char nodes[NODES_TEXT_MAX];

	printf("own nodes       %s  %s\n", nodes_text(&f->own, nodes, sizeof(nodes)),
	       cgm_nodeset_subset(&f->memory, &f->own) ?
	       "cgmigrate can move pages to each node" :
	       "to others cgmigrate cannot move pages itself: its own cpuset has no more");
}

static void print_features(struct app *app)
{
	const struct cgm_features *f = &app->features;
	char nodes[NODES_TEXT_MAX];

	say("kernel          %s\n", f->release);
	printf("backend         %s\n", cgm_backend_name(f->backend));
	printf("cgroups         %s\n", cgm_cgroup_mode_name(f->mode));
	if (f->cpuset_version)
		say("cpusets         v%d at %s\n", f->cpuset_version, f->cpuset_mount);
	else
		say("cpusets         none mounted\n");
	printf("nodes           %s\n", nodes_text(&f->online, nodes, sizeof(nodes)));
	printf("with memory     %s\n", nodes_text(&f->memory, nodes, sizeof(nodes)));
	if (cgm_nodeset_weight(&f->own))
		print_own(f);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		bool has = f->flags & table[i].flag;

		print_feature(table[i].name, has, has ? table[i].yes : table[i].no);
	}
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		bool has = probes[i].has(app);

		print_feature(probes[i].name, has, has ? probes[i].yes : probes[i].no);
	}
	print_knobs(app);
}

static json_t *json_features(struct app *app)
{
	const struct cgm_features *f = &app->features;
	json_t *features = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		json_object_set_new(features, table[i].name,
				    json_boolean(f->flags & table[i].flag));
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		json_object_set_new(features, probes[i].name,
				    json_boolean(probes[i].has(app)));
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
