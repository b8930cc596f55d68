// SPDX-License-Identifier: GPL-2.0
/*
 * The CPUs of cgroups that apply and undo move. Each has the old and the new ones from
 * before its first round, or the first of those below it, until after the last; so at
 * every moment a cgroup has what those below it have. The journal knows what CPUs and
 * threads were and are to be before any of them changes.
 */
#include <stdlib.h>
#include <string.h>

#include "cpus.h"
#include "rounds.h"
#include "spec.h"

#define KEY "cpu_move"	/* of a target in the journal; "cpus" is a wish */

static struct cgm_schedule_target target_at(const struct cgm_schedule *schedule, size_t i)
{
	struct cgm_schedule_target target = { .size = sizeof(target) };

	cgm_schedule_target(schedule, i, &target);
	return target;
}

static bool is_below(const char *path, const char *above)
{
	size_t len = strlen(above);

	return !strncmp(path, above, len) && path[len] == '/';
}

/* ---- when ---- */

static int last_round(const struct cgm_schedule *schedule)
{
	struct cgm_step step = { .size = sizeof(step) };
	int last = 0;

	for (size_t i = 0; !cgm_schedule_step(schedule, i, &step); i++)
		last = step.round > last ? step.round : last;
	return last;
}

/* Its own rounds. One that has the nodes already comes after all of them. */
static void find_own_rounds(const struct cgm_schedule *schedule, const char *path,
			    struct cpu_item *item)
{
	struct cgm_step step = { .size = sizeof(step) };

	for (size_t i = 0; !cgm_schedule_step(schedule, i, &step); i++) {
		if (strcmp(cgm_group_path(step.group), path))
			continue;
		item->first = item->first ? item->first : step.round;
		item->last = step.round;
	}
	if (!item->first)
		item->first = item->last = last_round(schedule) + 1;
}

/* Those above first. */
static int compare_depths(const void *a, const void *b, void *data)
{
	const char *x = cgm_group_path(target_at(data, *(const size_t *)a).group);
	const char *y = cgm_group_path(target_at(data, *(const size_t *)b).group);

	return (strlen(x) > strlen(y)) - (strlen(x) < strlen(y));
}

/* Those below are done within the rounds of those above. */
static int find_rounds(struct app *app, const struct cgm_schedule *schedule,
		       struct cpus *cpus)
{
	cpus->order = calloc(cpus->count + 1, sizeof(*cpus->order));
	if (!cpus->order)
		return fail(app, EXIT_FAILED, "out of memory");
	for (size_t i = 0; i < cpus->count; i++) {
		cpus->order[i] = i;
		find_own_rounds(schedule, cgm_group_path(target_at(schedule, i).group),
				&cpus->items[i]);
	}
	qsort_r(cpus->order, cpus->count, sizeof(*cpus->order), compare_depths,
		(void *)schedule);
	for (size_t i = cpus->count; i-- > 0;) {
		struct cpu_item *item = &cpus->items[cpus->order[i]];
		const char *path = cgm_group_path(target_at(schedule, cpus->order[i]).group);

		for (size_t k = 0; k < i; k++) {
			struct cpu_item *above = &cpus->items[cpus->order[k]];

			if (!is_below(path, cgm_group_path(target_at(schedule,
								     cpus->order[k]).group)))
				continue;
			above->first = item->first < above->first ? item->first :
								    above->first;
			above->last = item->last > above->last ? item->last : above->last;
		}
	}
	return 0;
}

/* ---- planning ---- */

/* Cgroups whose CPUs change, together, as the library takes them. */
struct batch {
	struct cgm_group **groups;
	size_t *items;			/* which of the targets they are */
	cgm_cpuset *to;
	struct cgm_cpumove_info *infos;
	const struct cgm_cpumove_info **pointers;
	struct cgm_cpumove **moves;
	size_t count;
};

static int batch_new(struct app *app, struct batch *batch, size_t count)
{
	count++;
	batch->groups = calloc(count, sizeof(struct cgm_group *));
	batch->items = calloc(count, sizeof(*batch->items));
	batch->to = calloc(count, sizeof(*batch->to));
	batch->infos = calloc(count, sizeof(*batch->infos));
	batch->pointers = calloc(count, sizeof(*batch->pointers));
	batch->moves = calloc(count, sizeof(struct cgm_cpumove *));
	if (!batch->groups || !batch->items || !batch->to || !batch->infos ||
	    !batch->pointers || !batch->moves)
		return fail(app, EXIT_FAILED, "out of memory");
	return 0;
}

/* The moves go to their targets. */
static void batch_free(struct batch *batch, struct cpus *cpus)
{
	for (size_t i = 0; i < batch->count && batch->moves; i++)
		cpus->items[batch->items[i]].move = batch->moves[i];
	free(batch->groups);
	free(batch->items);
	free(batch->to);
	free(batch->infos);
	free(batch->pointers);
	free(batch->moves);
}

/* The option, else what a plan says of one. */
static struct cpu_choice choice_of(const struct spec *spec, const struct wish *wish)
{
	struct cpu_choice choice = { .mode = CPUS_KEEP };

	if (spec->has_cpus)
		return spec->cpus;
	if (wish->has_cpus) {
		choice.mode = CPUS_LIST;
		choice.list = wish->cpus;
	}
	return choice;
}

/* Are the CPUs still those that the plan started from? */
static int check_before(struct app *app, const struct wish *wish, struct cgm_group *group)
{
	char is[256], was[256];
	cgm_cpuset now;
	int err = cgm_group_effective_cpus(group, &now);

	if (err)
		return fail_errno(app, err);
	if (!wish->has_cpus_before || cgm_nodeset_equal(&now, &wish->cpus_before))
		return 0;
	return fail(app, EXIT_REFUSED,
		    "%s: has CPUs \"%s\" now, the plan was made when it had \"%s\": make it again",
		    wish->cgroup, nodes_text(&now, is, sizeof(is)),
		    nodes_text(&wish->cpus_before, was, sizeof(was)));
}

static int plan_one(struct app *app, const struct cgm_schedule *schedule, size_t i,
		    const struct spec *spec, const struct wish *wish, struct cpu_item *item,
		    struct batch *batch)
{
	struct cgm_schedule_target t = target_at(schedule, i);
	struct cpu_target target = {
		t.group, &t.after, !cgm_nodeset_equal(&t.before, &t.after),
	};
	struct cpu_choice choice = choice_of(spec, wish);
	int code;

	if (choice.mode == CPUS_KEEP) {
		code = cpus_keep(app, &target, item);
		item->known = false;	/* a plan tells of those that change */
		return code;
	}
	code = spec->has_cpus ? 0 : check_before(app, wish, t.group);
	if (!code)
		code = cpus_choose(app, &target, &choice, &batch->to[batch->count]);
	if (code)
		return code;
	batch->groups[batch->count] = t.group;
	batch->items[batch->count++] = i;
	return 0;
}

/* What becomes of the CPUs of those that a schedule gives other nodes. 0 or an exit code. */
int cpus_plan_schedule(struct app *app, const struct cgm_schedule *schedule,
		       const struct wishes *wishes, const struct spec *spec,
		       struct cpus **out)
{
	struct batch batch = { 0 };
	int err, code = cpus_new(app, wishes->count, out);

	if (!code)
		code = batch_new(app, &batch, wishes->count);
	for (size_t i = 0; i < wishes->count && !code; i++)
		code = plan_one(app, schedule, i, spec, &wishes->list[i], &(*out)->items[i],
				&batch);
	if (!code) {
		err = cgm_cpumove_new_many(batch.groups, batch.to, batch.count, batch.moves);
		code = err ? fail_errno(app, err) : find_rounds(app, schedule, *out);
	}
	batch_free(&batch, *out);
	return code;
}

/* ---- the journal ---- */

static json_t *json_threads(const struct cgm_cpumove *move, bool back)
{
	struct cgm_pinned thread = { .size = sizeof(thread) };
	json_t *list = json_array();

	for (size_t i = 0; !cgm_cpumove_keep(move, i, &thread); i++)
		json_array_append_new(list,
			json_pack("{s:i, s:i, s:I, s:o, s:o}", "pid", thread.pid, "tid",
				  thread.tid, "start", (json_int_t)thread.start, "before",
				  json_nodes(back ? &thread.after : &thread.before),
				  "after",
				  json_nodes(back ? &thread.before : &thread.after)));
	return list;
}

/* Write into the journal what CPUs are now, before any changes. */
void cpus_to_journal(const struct cpus *cpus, json_t *targets)
{
	for (size_t i = 0; i < cpus->count; i++) {
		struct cgm_cpumove_info info = { .size = sizeof(info) };

		if (!cpus->items[i].move || cgm_cpumove_info(cpus->items[i].move, &info) ||
		    !info.change)
			continue;
		json_object_set_new(json_array_get(targets, i), KEY,
			json_pack("{s:o, s:o, s:o, s:o}", "configured",
				  json_nodes(&info.configured), "from",
				  json_nodes(&info.from), "to", json_nodes(&info.to),
				  "threads", json_threads(cpus->items[i].move, false)));
	}
}

/* Threads have come and pinned themselves since. */
static void update_journal(const struct cpu_item *item, json_t *target, bool back)
{
	json_object_set_new(json_object_get(target, KEY), "threads",
			    json_threads(item->move, back));
}

static bool read_thread(const json_t *object, struct cgm_pinned *thread)
{
	json_int_t start;

	thread->size = sizeof(*thread);
	if (json_unpack((json_t *)object, "{s:i, s:i, s:I}", "pid", &thread->pid, "tid",
			&thread->tid, "start", &start))
		return false;
	thread->start = start;
	return cpus_read_set(object, "before", &thread->before) &&
	       cpus_read_set(object, "after", &thread->after);
}

static int recall(struct app *app, const json_t *threads, struct cgm_cpumove *move)
{
	struct cgm_pinned thread;
	const json_t *object;
	int err = 0;
	size_t i;

	json_array_foreach(threads, i, object)
		if (!err && read_thread(object, &thread))
			err = cgm_cpumove_recall(move, &thread);
	return err ? fail_errno(app, err) : 0;
}

static int read_one(struct app *app, const struct cgm_schedule *schedule, size_t i,
		    const json_t *object, struct batch *batch)
{
	struct cgm_cpumove_info *info = &batch->infos[batch->count];

	info->size = sizeof(*info);
	if (!cpus_read_set(object, "configured", &info->configured) ||
	    !cpus_read_set(object, "from", &info->from) ||
	    !cpus_read_set(object, "to", &info->to))
		return fail(app, EXIT_FAILED, "the journal: CPUs of %s that are no lists",
			    cgm_group_path(target_at(schedule, i).group));
	batch->groups[batch->count] = target_at(schedule, i).group;
	batch->pointers[batch->count] = info;
	batch->items[batch->count++] = i;
	return 0;
}

/* Has somebody else changed what apply left? */
static int check_left(struct app *app, const struct batch *batch, size_t i)
{
	const struct cgm_cpumove_info *was = &batch->infos[i];
	struct cgm_cpumove_info info = { .size = sizeof(info) };
	char is[256], left[256];

	cgm_cpumove_info(batch->moves[i], &info);
	if (cgm_nodeset_equal(&info.now, &was->to) ||
	    cgm_nodeset_equal(&info.now, &was->configured))
		return 0;
	return fail(app, EXIT_REFUSED,
		    "%s: has CPUs \"%s\" now, apply left it with \"%s\"; --force goes back all the same",
		    cgm_group_path(batch->groups[i]), nodes_text(&info.now, is, sizeof(is)),
		    nodes_text(&was->to, left, sizeof(left)));
}

/* With what the journal tells of threads, in the direction that is wanted. */
static int take_over(struct app *app, const struct batch *batch, const json_t *targets,
		     enum cpus_way way)
{
	int err, code = 0;

	for (size_t i = 0; i < batch->count && !code; i++) {
		const json_t *target = json_array_get(targets, batch->items[i]);

		if (way == CPUS_BACK_IF_LEFT)
			code = check_left(app, batch, i);
		if (!code)
			code = recall(app, json_object_get(json_object_get(target, KEY),
							   "threads"), batch->moves[i]);
		if (code)
			break;
		err = way == CPUS_ON ? cgm_cpumove_look(batch->moves[i]) :
				       cgm_cpumove_turn(batch->moves[i]);
		code = err ? fail_errno(app, err) : 0;
	}
	return code;
}

static bool is_to_change(const struct cpu_item *item)
{
	struct cgm_cpumove_info info = { .size = sizeof(info) };

	return item->move && !cgm_cpumove_info(item->move, &info) && info.change &&
	       !info.done;
}

/* Nobody has to hear of those that have come to their end. */
static void drop_done(struct cpus *cpus)
{
	for (size_t i = 0; i < cpus->count; i++) {
		if (is_to_change(&cpus->items[i]))
			continue;
		cgm_cpumove_free(cpus->items[i].move);
		cpus->items[i].move = NULL;
	}
}

/* The changes that the journal tells of: on, or back. 0 or an exit code. */
int cpus_from_journal(struct app *app, const struct cgm_schedule *schedule,
		      const json_t *targets, enum cpus_way way, struct cpus **out)
{
	struct batch batch = { 0 };
	size_t count = json_array_size(targets);
	int err, code = cpus_new(app, count, out);

	if (!code)
		code = batch_new(app, &batch, count);
	for (size_t i = 0; i < count && !code; i++) {
		const json_t *object = json_object_get(json_array_get(targets, i), KEY);

		if (object)
			code = read_one(app, schedule, i, object, &batch);
	}
	if (!code) {
		err = cgm_cpumove_resume_many(batch.groups, batch.pointers, batch.count,
					      batch.moves);
		code = err ? fail_errno(app, err) : take_over(app, &batch, targets, way);
	}
	if (!code)
		code = find_rounds(app, schedule, *out);
	batch_free(&batch, *out);
	if (!code)
		drop_done(*out);
	return code;
}

/* ---- doing ---- */

/* Is there anything to do that is not done yet? */
bool cpus_to_do(const struct cpus *cpus)
{
	for (size_t i = 0; i < cpus->count; i++)
		if (is_to_change(&cpus->items[i]))
			return true;
	return false;
}

/* The CPUs of what was removed are of no concern any more. */
static void drop_removed(struct rounds *rounds)
{
	struct cpus *cpus = rounds->cpus;

	for (size_t i = 0; i < cpus->count; i++) {
		struct cpu_item *item = &cpus->items[i];

		if (!item->move || !rounds_removed(target_at(rounds->schedule, i).group))
			continue;
		cgm_cpumove_free(item->move);
		item->move = NULL;
		item->begun = false;
	}
}

/* Before a round: 0, or an exit code. */
int cpus_before_round(struct rounds *rounds, int round)
{
	struct cpus *cpus = rounds->cpus;

	drop_removed(rounds);
	for (size_t i = 0; i < cpus->count; i++) {
		struct cpu_item *item = &cpus->items[cpus->order[i]];
		int err;

		if (item->first != round || !is_to_change(item))
			continue;
		rounds->changed = true;
		item->begun = true;
		err = cgm_cpumove_widen(item->move);
		if (err)
			return fail_errno(rounds->app, err);
	}
	return 0;
}

/* Threads as they are now go into the journal, before they are pinned anew. */
static int write_down(struct rounds *rounds, int round)
{
	struct cpus *cpus = rounds->cpus;
	bool any = false;

	drop_removed(rounds);
	for (size_t i = 0; i < cpus->count; i++) {
		struct cpu_item *item = &cpus->items[i];
		int err;

		if (!item->begun || item->last != round)
			continue;
		err = cgm_cpumove_look(item->move);
		if (err)
			return fail_errno(rounds->app, err);
		update_journal(item, json_array_get(rounds->targets, i), rounds->back);
		any = true;
	}
	return any ? rounds->save(rounds->data) : 0;
}

/*
 * After a round: 0, an exit code that ends all, or EXIT_PARTIAL where not all CPUs and
 * threads are where they should be, which the result tells.
 */
int cpus_after_round(struct rounds *rounds, int round)
{
	struct cpus *cpus = rounds->cpus;
	int code = write_down(rounds, round);

	for (size_t i = cpus->count; i-- > 0 && (!code || code == EXIT_PARTIAL);) {
		struct cpu_item *item = &cpus->items[cpus->order[i]];
		struct cgm_schedule_target t = target_at(rounds->schedule, cpus->order[i]);
		struct cpu_target target = { t.group, &t.to, true };

		if (item->begun && item->last == round &&
		    !cpus_end_item(rounds->app, &target, item, rounds_notes(rounds)))
			code = EXIT_PARTIAL;
	}
	return code;
}

/* ---- telling ---- */

/* Lines of what cpus_report() has added to the targets of a schedule. False: none. */
bool print_schedule_cpus(const json_t *object)
{
	const char *path, *before, *after;
	const json_t *target, *cpus;
	bool any = false;
	size_t i;

	json_array_foreach(json_object_get(object, "targets"), i, target) {
		cpus = json_object_get(target, "cpus");
		if (!cpus || json_unpack((json_t *)target, "{s:s, s:{s:s, s:s}}", "cgroup",
					 &path, "cpus", "before", &before, "after", &after) ||
		    !strcmp(before, after))
			continue;
		say("%s:", path);
		print_cpus(cpus);
		any = true;
	}
	return any;
}
