// SPDX-License-Identifier: GPL-2.0
/*
 * The CPUs of cgroups whose memory moves (--cpus). The cpuset gets the old and the
 * new CPUs before, and the new ones alone when the memory is there. A command that is
 * killed cannot do that; so the job's record says what it was about, and the next
 * command that finds its process gone, and nothing moving there any more, ends it: with
 * the new CPUs where the new nodes are in force, else with the old ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.h"

#define KEY "cpus"	/* [{"cgroup": path, "configured": list, "from": ..., "to": ...}] */

int parse_cpus(struct app *app, const char *option, const char *text, struct cpu_choice *out)
{
	int err;

	out->mode = CPUS_KEEP;
	if (!strcmp(text, "keep"))
		return 0;
	out->mode = CPUS_FOLLOW;
	if (!strcmp(text, "follow"))
		return 0;
	out->mode = CPUS_LIST;
	err = cgm_nodeset_parse(text, &out->list);
	if (err == -ERANGE)
		return usage_error(app, "%s %s: CPU numbers end at %d", option, text,
				   CGM_CPUS_MAX - 1);
	if (err || !cgm_nodeset_weight(&out->list))
		return usage_error(app,
				   "%s \"%s\": can be follow, keep or a list of CPUs such as 2-3 or 0,4",
				   option, text);
	return 0;
}

/* ---- planning ---- */

/* Memory that leaves the CPUs behind is what somebody should know. */
int cpus_keep(struct app *app, const struct cpu_target *target, struct cpu_item *item)
{
	char cpus[256], nodes[256];
	cgm_cpuset there, both;

	item->known = !cgm_group_effective_cpus(target->group, &item->before);
	if (!item->known || !target->change || cgm_nodes_cpus(app->ctx, target->to, &there))
		return 0;
	cgm_nodeset_and(&both, &there, &item->before);
	if (cgm_nodeset_weight(&both) || !cgm_nodeset_weight(&item->before))
		return 0;
	if (asprintf(&item->warning,
		     "%s: memory and CPUs part: none of its CPUs (%s) is on node %s%s",
		     cgm_group_path(target->group),
		     nodes_text(&item->before, cpus, sizeof(cpus)),
		     nodes_text(target->to, nodes, sizeof(nodes)),
		     cgm_nodeset_weight(&there) ? "; --cpus follow takes them along" : "") < 0)
		return fail(app, EXIT_FAILED, "out of memory");
	return 0;
}

/* Which CPUs those are, of a choice that is not to keep them. 0 or an exit code. */
int cpus_choose(struct app *app, const struct cpu_target *target,
		const struct cpu_choice *choice, cgm_cpuset *to)
{
	char nodes[256];
	int err;

	*to = choice->list;
	if (choice->mode == CPUS_LIST)
		return 0;
	err = cgm_nodes_cpus(app->ctx, target->to, to);
	if (err)
		return fail_errno(app, err);
	if (cgm_nodeset_weight(to))
		return 0;
	return fail(app, EXIT_REFUSED,
		    "--cpus follow: node %s has no CPUs; name some with --cpus LIST, or keep those of %s",
		    nodes_text(target->to, nodes, sizeof(nodes)),
		    cgm_group_path(target->group));
}

static int plan_item(struct app *app, const struct cgm_plan_item *plan,
		     const struct cpu_choice *choice, struct cpu_item *item)
{
	struct cpu_target target = { plan->group, &plan->to, plan->change };
	cgm_cpuset to;
	int err, code;

	if (choice->mode == CPUS_KEEP)
		return plan->action == CGM_ACTION_MEMS ? cpus_keep(app, &target, item) : 0;
	if (plan->action != CGM_ACTION_MEMS)
		return fail(app, EXIT_REFUSED,
			    "--cpus: a process alone has no cpuset whose CPUs could change");
	code = cpus_choose(app, &target, choice, &to);
	if (code)
		return code;
	err = cgm_cpumove_new(plan->group, &to, &item->move);
	return err ? fail_errno(app, err) : 0;
}

/* For so many cgroups, with nothing said about them. 0 or an exit code. */
int cpus_new(struct app *app, size_t count, struct cpus **out)
{
	struct cpus *cpus = calloc(1, sizeof(*cpus));

	*out = cpus;
	if (cpus)
		cpus->items = calloc(count ? count : 1, sizeof(*cpus->items));
	if (!cpus || !cpus->items)
		return fail(app, EXIT_FAILED, "out of memory");
	cpus->count = count;
	return 0;
}

/* What becomes of the CPUs of every cgroup of a plan. 0 or an exit code. */
int cpus_plan(struct app *app, const struct cgm_plan *plan, const struct cpu_choice *choice,
	      struct cpus **out)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	int code = cpus_new(app, cgm_plan_size(plan), out);

	for (size_t i = 0; !code && !cgm_plan_item(plan, i, &item); i++)
		code = plan_item(app, &item, choice, &(*out)->items[i]);
	return code;
}

void cpus_free(struct cpus *cpus)
{
	if (!cpus)
		return;
	for (size_t i = 0; i < cpus->count; i++) {
		cgm_cpumove_free(cpus->items[i].move);
		free(cpus->items[i].warning);
	}
	free(cpus->items);
	free(cpus->order);
	free(cpus);
}

static bool info_of(const struct cpu_item *item, struct cgm_cpumove_info *info)
{
	info->size = sizeof(*info);
	return item->move && !cgm_cpumove_info(item->move, info) && info->change;
}

bool cpus_change(const struct cpus *cpus)
{
	struct cgm_cpumove_info info;

	for (size_t i = 0; i < cpus->count; i++)
		if (info_of(&cpus->items[i], &info))
			return true;
	return false;
}

/* ---- telling ---- */

static json_t *json_threads(const struct cgm_cpumove *move)
{
	struct cgm_pinned thread = { .size = sizeof(thread) };
	json_t *list = json_array();

	for (size_t i = 0; !cgm_cpumove_thread(move, i, &thread); i++)
		json_array_append_new(list,
			json_pack("{s:i, s:i, s:o, s:o}", "pid", thread.pid, "tid", thread.tid,
				  "before", json_nodes(&thread.before), "after",
				  json_nodes(&thread.after)));
	return list;
}

static json_t *json_item(const struct cpu_item *item)
{
	struct cgm_cpumove_info info = { .size = sizeof(info) };

	if (!item->move)
		return json_pack("{s:o, s:o}", "before", json_nodes(&item->before), "after",
				 json_nodes(&item->before));
	cgm_cpumove_info(item->move, &info);
	return json_pack("{s:o, s:o, s:o}", "before", json_nodes(&info.from), "after",
			 json_nodes(&info.to), "pinned", json_threads(item->move));
}

/* Add what becomes of CPUs to an object of report_plan() or report_result(). */
void cpus_report(const struct cpus *cpus, json_t *object)
{
	json_t *targets = json_object_get(object, "targets");
	json_t *notes = json_object_get(object, "notes");

	for (size_t i = 0; i < cpus->count; i++) {
		const struct cpu_item *item = &cpus->items[i];

		if (item->move || item->known)
			json_object_set_new(json_array_get(targets, i), "cpus",
					    json_item(item));
		if (item->warning)
			json_array_append_new(notes,
				json_pack("{s:s, s:o}", "severity", "warning", "message",
					  json_text(item->warning)));
	}
}

/* A line of what report_plan() and cpus_report() made, where CPUs change. */
void print_cpus(const json_t *cpus)
{
	const char *before, *after;
	json_t *pinned;
	size_t count;

	if (json_unpack((json_t *)cpus, "{s:s, s:s, s:o}", "before", &before, "after", &after,
			"pinned", &pinned) || !strcmp(before, after))
		return;
	printf("  CPUs %s -> %s", before, after);
	count = json_array_size(pinned);
	if (count)
		printf(", %zu pinned thread%s with them", count, count == 1 ? "" : "s");
	putchar('\n');
}

/* What to say with "cgmigrate move", so that the CPUs are those of then; "" or more. */
const char *cpus_option(const json_t *target, const char *when, char *buf, size_t size)
{
	const char *before, *after;

	buf[0] = '\0';
	if (!json_unpack(json_object_get(target, "cpus"), "{s:s, s:s}", "before", &before,
			 "after", &after) && strcmp(before, after))
		snprintf(buf, size, " --cpus %s", strcmp(when, "before") ? after : before);
	return buf;
}

/* ---- doing ---- */

/* Say in what a record is made of what a killed command leaves to be ended. */
void cpus_record(const struct cpus *cpus, const struct cgm_plan *plan, json_t *object)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	struct cgm_cpumove_info info;
	json_t *list = json_array();

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++)
		if (info_of(&cpus->items[i], &info))
			json_array_append_new(list,
				json_pack("{s:s, s:o, s:o, s:o, s:o}", "cgroup",
					  cgm_group_path(item.group), "nodes",
					  json_nodes(&item.to), "configured",
					  json_nodes(&info.configured), "from",
					  json_nodes(&info.from), "to",
					  json_nodes(&info.to)));
	if (json_array_size(list))
		json_object_set(object, KEY, list);
	json_decref(list);
}

static void undo_first(const struct cpus *cpus, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (cpus->items[i].move)
			cgm_cpumove_undo(cpus->items[i].move);
}

/* The CPUs are as they were, after a start that failed. */
void cpus_undo(const struct cpus *cpus)
{
	undo_first(cpus, cpus->count);
}

/* Before the memory moves. 0 or an exit code, with nothing changed then. */
int cpus_widen(struct app *app, const struct cpus *cpus)
{
	for (size_t i = 0; i < cpus->count; i++) {
		int err = cpus->items[i].move ? cgm_cpumove_widen(cpus->items[i].move) : 0;
		int code = err ? fail_errno(app, err) : 0;

		if (!code)
			continue;
		undo_first(cpus, i);
		return code;
	}
	return 0;
}

/* Where the memory has other nodes now the CPUs go too, else back. */
static int end_move(struct cgm_group *group, const cgm_nodeset *to, struct cgm_cpumove *move)
{
	cgm_nodeset now;
	int err = cgm_group_mems(group, &now);

	if (err)
		return err;
	return cgm_nodeset_equal(&now, to) ? cgm_cpumove_finish(move) : cgm_cpumove_undo(move);
}

/* The end for one cgroup: false if not all is where it should be, and @notes tell why. */
bool cpus_end_item(struct app *app, const struct cpu_target *target,
		   const struct cpu_item *item, json_t *notes)
{
	int err = end_move(target->group, target->to, item->move);
	struct cgm_cpumove_info info;

	if (err)
		json_array_append_new(notes, json_text(cgm_context_error(app->ctx)));
	info_of(item, &info);
	if (info.failed)
		json_array_append_new(notes,
			json_textf("%s: %zu threads could not be pinned anew, and may run on all of its CPUs",
				   cgm_group_path(target->group), info.failed));
	return !err && !info.failed;
}

/*
 * The memory has moved, or will not any more. False if not all CPUs and threads are
 * where they should be, and @notes tell why.
 */
bool cpus_end(struct app *app, const struct cpus *cpus, const struct cgm_plan *plan,
	      json_t *notes)
{
	struct cgm_plan_item item = { .size = sizeof(item) };
	struct cgm_cpumove_info info;
	bool done = true;

	for (size_t i = 0; !cgm_plan_item(plan, i, &item); i++) {
		struct cpu_target target = { item.group, &item.to, item.change };

		if (info_of(&cpus->items[i], &info))
			done &= cpus_end_item(app, &target, &cpus->items[i], notes);
	}
	return done;
}

/* ---- after a command that was killed ---- */

bool cpus_read_set(const json_t *object, const char *key, cgm_nodeset *set)
{
	const char *list = json_string_value(json_object_get(object, key));

	return list && !cgm_nodeset_parse(list, set);
}

/* A cgroup that is gone, or that somebody else has changed, has nothing to be ended. */
static bool is_over(int err)
{
	return !err || err == -ENOENT || err == -ENODEV || err == -ESTALE;
}

static int end_where_idle(struct cgm_group *group, const cgm_nodeset *nodes,
			  const struct cgm_cpumove_info *info, bool dry)
{
	struct cgm_cpumove *move;
	uint64_t pending;
	int err = cgm_group_pending(group, &pending);

	if (!err && pending)
		return -EINPROGRESS;
	if (!err)
		err = cgm_cpumove_resume(group, info, &move);
	if (err)
		return err;
	if (!dry)
		err = end_move(group, nodes, move);
	cgm_cpumove_free(move);
	return err;
}

/* One cgroup of a job that was killed. */
static bool end_killed(struct app *app, const char *id, const json_t *object, bool dry)
{
	const char *path = json_string_value(json_object_get(object, "cgroup"));
	struct cgm_cpumove_info info = { .size = sizeof(info) };
	struct cgm_group *group = NULL;
	cgm_nodeset nodes;
	int err;

	if (!path || !cpus_read_set(object, "nodes", &nodes) ||
	    !cpus_read_set(object, "configured", &info.configured) ||
	    !cpus_read_set(object, "from", &info.from) || !cpus_read_set(object, "to", &info.to))
		return true;
	err = cgm_group_open(app->ctx, path, &group);
	if (err == -ENOENT)
		return true;
	if (!err)
		err = end_where_idle(group, &nodes, &info, dry);
	if (err != -EINPROGRESS)
		warn(app, "%s: job %s was killed: %s", path, id,
		     err ? cgm_context_error(app->ctx) :
		     dry ? "its CPUs are still to go where the memory is" :
			   "its CPUs are where the memory is now");
	cgm_group_unref(group);
	return is_over(err);
}

/* End what jobs that were killed have begun, where nothing moves. */
void cpus_put_back(struct app *app, bool dry)
{
	interrupted_walk(app, KEY, end_killed, dry);
}
