// SPDX-License-Identifier: GPL-2.0
/* The machine that was measured, as far as figures depend on it. No names of it. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

#define THP "sys/kernel/mm/transparent_hugepage/"
#define ENGINE "sys/kernel/mm/numa/migrate/"

/* What comes after "key :" in /proc/cpuinfo. */
static bool cpuinfo(const char *text, const char *key, char *buf, size_t size)
{
	size_t len = strlen(key);

	for (const char *p = text; p && *p; p = strchr(p, '\n'), p += !!p) {
		const char *colon = p + len + strspn(p + (strncmp(p, key, len) ? 0 : len),
						     " \t");

		if (strncmp(p, key, len) || *colon != ':')
			continue;
		colon += 1 + strspn(colon + 1, " \t");
		snprintf(buf, size, "%.*s", (int)strcspn(colon, "\n"), colon);
		return true;
	}
	return false;
}

static json_t *json_cpu(const char *info)
{
	char text[256];

	if (cpuinfo(info, "model name", text, sizeof(text)) ||
	    cpuinfo(info, "CPU part", text, sizeof(text)) ||
	    cpuinfo(info, "cpu", text, sizeof(text)))
		return json_text(text);
	return json_null();
}

/* True, false, or null where nothing tells. */
static json_t *json_virtual(const struct app *app, const char *info)
{
	static const char * const signs[] = {
		"sys/hypervisor/type", "proc/device-tree/hypervisor/compatible",
	};
	char text[8192];

	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		if (read_text(app, signs[i], text, sizeof(text)))
			return json_true();
	if (cpuinfo(info, "flags", text, sizeof(text)))
		return json_boolean(strstr(text, " hypervisor"));
	if (read_text(app, "sys/class/dmi/id/sys_vendor", text, sizeof(text)) &&
	    !strncmp(text, "QEMU", 4))
		return json_true();
	return json_null();
}

/* "[always] madvise never": what is in brackets, or the whole. */
static json_t *json_choice(const struct app *app, const char *name)
{
	char text[256], *open, *close;

	if (!read_text(app, name, text, sizeof(text)))
		return json_null();
	text[strcspn(text, "\n")] = '\0';
	open = strchr(text, '[');
	close = open ? strchr(open, ']') : NULL;
	if (!close)
		return json_text(text);
	*close = '\0';
	return json_text(open + 1);
}

static json_t *json_number(const struct app *app, const char *name)
{
	char text[64];

	return read_text(app, name, text, sizeof(text)) ?
	       json_integer(strtoll(text, NULL, 10)) : json_null();
}

static json_t *json_engine(const struct app *app)
{
	if (!(app->features.flags & CGM_FEATURE_ENGINE))
		return json_null();
	return json_pack("{s:o, s:o}", "max_stall_usec",
			 json_number(app, ENGINE "max_stall_usec"), "workers",
			 json_number(app, ENGINE "workers"));
}

static json_t *json_distances(const struct app *app, int from)
{
	const cgm_nodeset *online = &app->features.online;
	json_t *object = json_object();

	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n)) {
		int distance = cgm_node_distance(app->ctx, from, n);
		char key[16];

		snprintf(key, sizeof(key), "%d", n);
		if (distance >= 0)
			json_object_set_new(object, key, json_integer(distance));
	}
	return object;
}

static json_t *json_node_list(const struct app *app)
{
	const cgm_nodeset *online = &app->features.online;
	json_t *list = json_array();

	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n)) {
		struct cgm_node node = { .size = sizeof(node) };
		char path[64], cpus[2048];

		cgm_node_read(app->ctx, n, &node);
		snprintf(path, sizeof(path), "sys/devices/system/node/node%d/cpulist", n);
		read_text(app, path, cpus, sizeof(cpus));
		cpus[strcspn(cpus, "\n")] = '\0';
		json_array_append_new(list, json_pack("{s:i, s:I, s:o, s:o}", "node", n,
						      "bytes", (json_int_t)node.total,
						      "cpus", json_text(cpus), "distances",
						      json_distances(app, n)));
	}
	return list;
}

json_t *bench_machine(struct bench *bench)
{
	const struct app *app = bench->app;
	static char info[16384];
	struct utsname name;

	read_text(app, "proc/cpuinfo", info, sizeof(info));
	uname(&name);
	return json_pack("{s:s, s:o, s:s, s:s, s:o, s:i, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "cgmigrate", cgm_version(), "kernel",
			 json_text(app->features.release),
			 "backend", cgm_backend_name(app->features.backend), "architecture",
			 name.machine, "cpu", json_cpu(info), "cpus",
			 (int)sysconf(_SC_NPROCESSORS_ONLN), "virtual",
			 json_virtual(app, info), "page_size", (int)sysconf(_SC_PAGESIZE),
			 "nodes", json_node_list(app), "thp",
			 json_choice(app, THP "enabled"), "thp_defrag",
			 json_choice(app, THP "defrag"), "numa_balancing",
			 json_number(app, "proc/sys/kernel/numa_balancing"),
			 "swappiness", json_number(app, "proc/sys/vm/swappiness"), "engine",
			 json_engine(app));
}
