// SPDX-License-Identifier: LGPL-2.1-or-later
/* One thing that a user does, and how memory moves for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core.h"
#include "limited.h"

uint64_t now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

/*
 * A tool such as a daemon may have closed its standard descriptors. What we open
 * must not get their numbers: a helper would take it for the tool's and close it.
 * So something that can neither be read nor written stands there meanwhile.
 */
static void stand_in(struct event *event)
{
	int fd;

	do {
		fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && fd <= 2)
			event->stands_in[fd] = true;
	} while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

static void stand_back(struct event *event)
{
	for (int fd = 0; fd <= 2; fd++)
		if (event->stands_in[fd])
			close(fd);
}

/* NULL where there is nothing to do: no cpusets, or no memory for us. */
struct event *event_new(const struct call *call)
{
	struct event *event = calloc(1, sizeof(*event));

	if (!event)
		return NULL;
	event->helper = -1;
	stand_in(event);
	event->started = now_usec();
	event->call = *call;
	event->call.group = call->group ? strdup(call->group) : NULL;
	event->call.mems = call->mems ? strdup(call->mems) : NULL;
	event->moves = json_array();
	event->notes = json_array();
	event->features.size = sizeof(event->features);
	if (!event->moves || !event->notes || cgm_context_new(&event->ctx, NULL) ||
	    cgm_context_features(event->ctx, &event->features) ||
	    !event->features.cpuset_version) {
		event_free(event);
		return NULL;
	}
	return event;
}

void event_free(struct event *event)
{
	if (!event)
		return;
	for (size_t i = 0; i < event->process_count; i++)
		free(event->processes[i].path);
	for (size_t i = 0; i < event->tree_count; i++)
		free(event->tree[i].path);
	free(event->processes);
	free(event->tree);
	whereabouts_clear(&event->before);
	json_decref(event->moves);
	json_decref(event->notes);
	json_decref(event->groups);
	cgm_context_free(event->ctx);
	free((char *)event->call.group);
	free((char *)event->call.mems);
	if (event->helper >= 0)
		close(event->helper);
	stand_back(event);
	free(event);
}

void event_note(struct event *event, const char *fmt, ...)
{
	char text[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(event->notes, json_string(text));
}

bool event_is_v1(const struct event *event)
{
	return event->features.cpuset_version == 1;
}

/*
 * libcgroup 3.0 and later put a folder before every name where this file says which,
 * unless the tool was told not to. Only libcgroup knows what a name stands for then.
 */
#define DEFAULT_FOLDER "/run/libcgroup/systemd"

/* The cpuset that libcgroup calls by this name; NULL: none, or not known. */
struct cgm_group *event_group(struct event *event, const char *name)
{
	struct cgm_group *group = NULL;
	char *path;

	if (!access(DEFAULT_FOLDER, F_OK))
		return NULL;
	if (!name || asprintf(&path, "/%s", name) < 0)
		return NULL;
	if (cgm_group_open(event->ctx, path, &group) || !cgm_group_has_cpuset(group)) {
		cgm_group_unref(group);
		group = NULL;
	}
	free(path);
	return group;
}

/* cgroup v1 moves memory only where a flag says so. */
static bool migrates(struct event *event, struct cgm_group *group)
{
	char flag = '0';
	int fd;

	if (!event_is_v1(event))
		return true;
	fd = cgm_group_open_file(group, "cpuset.memory_migrate", O_RDONLY);
	if (fd < 0)
		return false;
	if (read(fd, &flag, 1) != 1)
		flag = '0';
	close(fd);
	return flag == '1';
}

/* Does memory follow into this group? Nobody's memory does into one without nodes. */
bool event_follows(struct event *event, struct cgm_group *group)
{
	return config_get()->settle == SETTLE_ALWAYS || migrates(event, group);
}

/*
 * Is what lies outside of a group's nodes to be brought in? What is left by a
 * move of ours, or by the engine, is left for a reason, such as program text that
 * others run; but on v1 libcgroup has the engine move a process before all its
 * threads have followed.
 */
bool event_settles(struct event *event, struct cgm_group *group)
{
	if (event->moved || event->features.backend == CGM_BACKEND_ENGINE_V2)
		return false;
	return config_get()->settle != SETTLE_NEVER && event_follows(event, group);
}

/* ---- where something is ---- */

void whereabouts_clear(struct whereabouts *where)
{
	free(where->path);
	cgm_placement_free(where->memory);
	memset(where, 0, sizeof(*where));
}

static void place_group(struct cgm_group *group, struct whereabouts *where)
{
	where->path = strdup(cgm_group_path(group));
	cgm_group_effective_mems(group, &where->nodes);
}

void whereabouts_of_pid(struct event *event, pid_t pid, struct whereabouts *where)
{
	struct cgm_group *group;

	memset(where, 0, sizeof(*where));
	if (cgm_group_open_pid(event->ctx, pid, &group))
		return;
	place_group(group, where);
	cgm_group_unref(group);
	cgm_placement_read_pid(event->ctx, pid, &where->memory);
}

void whereabouts_of_group(struct cgm_group *group, struct whereabouts *where)
{
	memset(where, 0, sizeof(*where));
	place_group(group, where);
}

/* That takes long for big processes: only where it is needed. */
void whereabouts_read_memory(struct cgm_group *group, struct whereabouts *where)
{
	cgm_placement_free(where->memory);
	where->memory = NULL;
	cgm_placement_read(group, CGM_PLACEMENT_MAPPED, &where->memory);
}

uint64_t whereabouts_bytes(const struct whereabouts *where)
{
	return where->memory ? cgm_placement_bytes(where->memory, CGM_KIND_MOVABLE,
						   CGM_NODE_ALL) : 0;
}

/* ---- moving ---- */

static json_t *totals_of(const struct cgm_result *result)
{
	json_t *totals = json_object();

	for (int r = 0; result && r < CGM_REASON_COUNT; r++) {
		uint64_t bytes = cgm_result_total(result, r);

		if (bytes)
			json_object_set_new(totals, cgm_reason_name(r),
					    json_integer(bytes));
	}
	return totals;
}

static json_t *describe(const char *purpose, const struct cgm_plan_item *item)
{
	json_t *move = json_pack("{s:s, s:s, s:o, s:o, s:I}", "purpose", purpose, "backend",
				 cgm_backend_name(item->backend), "from",
				 report_nodes(&item->from), "to", report_nodes(&item->to),
				 "bytes", (json_int_t)item->bytes);
	json_t *pids = json_array();

	if (item->group)
		json_object_set_new(move, "cgroup",
				    json_string(cgm_group_path(item->group)));
	for (size_t i = 0; i < item->pid_count; i++)
		json_array_append_new(pids, json_integer(item->pids[i]));
	if (item->pid_count)
		json_object_set(move, "pids", pids);
	json_decref(pids);
	return move;
}

static void follow(struct event *event, struct cgm_job *job, json_t *move,
		   const sigset_t *held)
{
	struct cgm_progress progress = { .size = sizeof(progress) };
	const struct cgm_result *result;
	const char *text;

	if (event->in_helper)
		helper_wait(event, job);
	else if (config_get()->rate)
		limited_wait(job, config_get()->rate, held);
	else
		cgm_job_wait(job, -1);
	cgm_job_progress(job, &progress);
	result = cgm_job_result(job);
	json_object_set_new(move, "state", json_string(cgm_state_name(progress.state)));
	json_object_set_new(move, "totals", totals_of(result));
	json_object_set_new(move, "elapsed_usec", json_integer(progress.elapsed_usec));
	json_object_set_new(move, "max_batch_usec", json_integer(progress.max_batch_usec));
	for (size_t i = 0; result && (text = cgm_result_note(result, i)); i++)
		event_note(event, "%s", text);
}

static int run(struct event *event, struct cgm_plan *plan, json_t *move)
{
	const struct config *config = config_get();
	struct cgm_job_options options = {
		.size = sizeof(options),
		.rate = event->hurried ? 0 : config->rate,
		.max_stall_usec = config->max_stall_usec,
	};
	struct cgm_job *job;
	sigset_t held;
	int err;

	sigemptyset(&held);
	if (options.rate)
		limited_begin(&held);
	err = cgm_job_start(plan, &options, &job);
	if (event->in_helper && !event->handed_over) {
		event->handed_over = true;
		helper_started(event, !err);
	}
	if (err) {
		event_note(event, "%s", cgm_context_error(event->ctx));
		json_object_set_new(move, "state", json_string("refused"));
	} else {
		follow(event, job, move, &held);
		cgm_job_free(job);
	}
	limited_end(&held);
	return err;
}

/*
 * Move with the library, if there is something to move. An error means that
 * nothing was changed; the real function then does what it does without us.
 */
int event_move(struct event *event, const char *purpose, struct cgm_move *what)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	struct cgm_plan *plan;
	json_t *move;
	int err;

	what->size = sizeof(*what);
	if (cgm_plan_new(event->ctx, &plan))
		return -ENOMEM;
	err = cgm_plan_add(plan, what);
	if (err || cgm_plan_item(plan, 0, &item) || !item.change) {
		cgm_plan_free(plan);
		return err;
	}
	move = describe(purpose, &item);
	json_array_append(event->moves, move);
	err = run(event, plan, move);
	json_decref(move);
	cgm_plan_free(plan);
	return err;
}

/* Bring in what lies outside of a group's nodes. */
void event_settle_group(struct event *event, struct cgm_group *group)
{
	struct cgm_move move = { .action = CGM_ACTION_SETTLE, .group = group };

	event_move(event, "settle", &move);
}

/* ---- the ends of it ---- */

static enum verdict core_begin(const struct call *call, struct event **out)
{
	enum verdict verdict = CALL_REAL;
	struct event *event;

	config_get();	/* a descriptor for reports is not for a payload, event or not */
	event = event_new(call);
	*out = event;
	if (!event)
		return verdict;
	switch (call->kind) {
	case CALL_PROCESS:
	case CALL_THREAD:
		attach_begin(event);
		break;
	case CALL_EVERYBODY:
		everybody_begin(event);
		break;
	case CALL_SETTINGS:
		verdict = settings_begin(event);
		break;
	case CALL_GROUPS:
		tree_begin(event);
		break;
	case CALL_DELETE:
		delete_begin(event);
		break;
	}
	return verdict;
}

static void core_inner(struct event *event, const struct call *call)
{
	if (call->kind == CALL_PROCESS)
		attach_inner(event, call);
}

/* What the real function left to do, and the record. */
void event_end(struct event *event, int returned)
{
	json_t *after = NULL;

	switch (event->call.kind) {
	case CALL_PROCESS:
	case CALL_THREAD:
		after = attach_end(event, returned);
		break;
	case CALL_EVERYBODY:
		everybody_end(event);
		break;
	case CALL_SETTINGS:
		after = settings_end(event, returned);
		break;
	case CALL_GROUPS:
		tree_end(event);
		break;
	case CALL_DELETE:
		delete_end(event);
		break;
	}
	report_event(event, returned, after);
	json_decref(after);
}

static void core_end(struct event *event, int returned)
{
	if (!event->handed_over)
		event_end(event, returned);
	else if (send(event->helper, &returned, sizeof(returned), MSG_NOSIGNAL) < 0)
		report_event(event, returned, NULL);	/* it was killed */
	event_free(event);
}

static bool core_takes(const struct call *call)
{
	struct event *event = event_new(call);
	struct cgm_group *group = event ? event_group(event, call->group) : NULL;
	bool taken = group && settings_taken(event, group);

	cgm_group_unref(group);
	event_free(event);
	return taken;
}

static bool core_unified(void)
{
	static int version = -1;
	struct cgm_features features = { .size = sizeof(features) };
	struct cgm_context *ctx;

	if (version >= 0)
		return version == 2;
	if (cgm_context_new(&ctx, NULL))
		return false;
	cgm_context_features(ctx, &features);
	version = features.cpuset_version;
	cgm_context_free(ctx);
	return version == 2;
}

static bool core_has_v2_cpuset(const char *name)
{
	const struct call call = { .function = "" };
	struct cgm_group *group = NULL;
	struct event *event;

	if (!core_unified())
		return false;
	event = event_new(&call);
	if (event)
		group = event_group(event, name);
	cgm_group_unref(group);
	event_free(event);
	return group;
}

__attribute__((visibility("default")))
const struct plugin_core cgmigrate_plugin_core = {
	.begin = core_begin,
	.inner = core_inner,
	.end = core_end,
	.takes = core_takes,
	.unified = core_unified,
	.has_v2_cpuset = core_has_v2_cpuset,
};
