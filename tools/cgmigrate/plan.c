// SPDX-License-Identifier: GPL-2.0
/* cgmigrate plan: other nodes for many cgroups, in an order that works. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../../libcgroup-plugin/plugin/files.h"
#include "rounds.h"
#include "spec.h"

static const struct option long_options[] = {
	COMMON_LONG,
	SPEC_LONG,
	{ "output", required_argument, NULL, 'o' },
	TABLE_LONG,
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate plan [OPTION...] SPEC\n"
	"       cgmigrate plan [OPTION...] --swap A B | --evict NODES | --balance\n"
	"\n"
	"Work out in which order cgroups can get other nodes, and whether there is room.\n"
	"Nothing is changed. SPEC is a file as cgmigrate-plan(5) describes, in JSON or in\n"
	"the syntax of cgconfig.conf; \"-\" is the standard input.\n"
	OPTIONS_HEAD
	SPEC_HELP
	"  -o, --output FILE      write the plan, for \"cgmigrate apply\"\n"
	"  -b, --bytes            print sizes in bytes\n"
	"  -n, --noheadings       no heading\n"
	"  -r, --raw              words separated by single spaces, sizes in bytes\n"
	COMMON_HELP;

struct plan {
	struct spec spec;
	const char *file;
};

/* ---- a schedule as an object ---- */

static json_t *json_targets(const struct cgm_schedule *schedule)
{
	struct cgm_schedule_target t = { .size = sizeof(t) };
	json_t *list = json_array();

	for (size_t i = 0; !cgm_schedule_target(schedule, i, &t); i++)
		json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "cgroup",
				  json_text(cgm_group_path(t.group)), "from",
				  json_nodes(&t.from), "to", json_nodes(&t.to), "before",
				  json_nodes(&t.before), "after", json_nodes(&t.after),
				  "bytes", (json_int_t)t.bytes));
	return list;
}

static json_t *json_steps(const struct cgm_schedule *schedule)
{
	struct cgm_step step = { .size = sizeof(step) };
	json_t *list = json_array();

	for (size_t i = 0; !cgm_schedule_step(schedule, i, &step); i++)
		json_array_append_new(list,
			json_pack("{s:i, s:s, s:o, s:o, s:o, s:I}", "round", step.round,
				  "step", cgm_step_name(step.kind), "cgroup",
				  json_text(cgm_group_path(step.group)), "from",
				  json_nodes(&step.from), "to", json_nodes(&step.to),
				  "bytes", (json_int_t)step.bytes));
	return list;
}

static json_t *json_rooms(const struct app *app, const struct cgm_schedule *schedule)
{
	const cgm_nodeset *nodes = &app->features.memory;
	json_t *list = json_array();
	int64_t before, after;

	for (int n = cgm_nodeset_next(nodes, -1); n >= 0; n = cgm_nodeset_next(nodes, n))
		if (!cgm_schedule_room(schedule, n, &before, &after))
			json_array_append_new(list,
				json_pack("{s:i, s:I, s:I}", "node", n, "room",
					  (json_int_t)before, "room_after",
					  (json_int_t)after));
	return list;
}

static json_t *json_notes(const struct cgm_schedule *schedule, json_t *more)
{
	enum cgm_severity severity;
	json_t *list = json_array();
	const char *text;

	for (size_t i = 0; (text = cgm_schedule_note(schedule, i, &severity)); i++)
		json_array_append_new(list, json_pack("{s:s, s:o}", "severity",
						      severity == CGM_REFUSAL ? "refusal" :
						      severity == CGM_WARNING ? "warning" :
						      "note", "message", json_text(text)));
	if (more)
		json_array_extend(list, more);
	return list;
}

/* The plan, as it is told, written to a file and kept in a job's record. */
json_t *json_schedule(struct app *app, const struct cgm_schedule *schedule,
		      const struct wishes *wishes)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "command", app->verb, "format",
			 "cgmigrate-plan-1", "targets", json_targets(schedule), "steps",
			 json_steps(schedule), "capacity", json_rooms(app, schedule),
			 "notes", json_notes(schedule, wishes->notes));
}

/* ---- and as tables ---- */

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && *text ? text : "-";
}

static void print_steps(struct app *app, const json_t *object)
{
	static const char * const heads[] = { "ROUND", "STEP", "CGROUP", "FROM", "TO", "BYTES" };
	static const char * const keys[] = { NULL, "step", "cgroup", "from", "to" };
	struct libscols_table *table = table_new(app);
	char buf[64];
	json_t *step;
	size_t i;

	if (!table)
		return;
	for (i = 0; i < ARRAY_SIZE(heads); i++)
		table_column(table, heads[i], i == 0 || i == 5 ? SCOLS_FL_RIGHT : 0);
	json_array_foreach(json_object_get(object, "steps"), i, step) {
		struct libscols_line *line = table_line(table);

		if (!line)
			break;
		snprintf(buf, sizeof(buf), "%lld",
			 json_integer_value(json_object_get(step, "round")));
		table_cell(line, 0, buf);
		for (size_t k = 1; k < ARRAY_SIZE(keys); k++)
			table_cell(line, k, word(step, keys[k]));
		size_text(app, json_integer_value(json_object_get(step, "bytes")), buf,
			  sizeof(buf));
		table_cell(line, 5, buf);
	}
	table_print(table);
	scols_unref_table(table);
}

void print_schedule(struct app *app, const json_t *object)
{
	bool steps = json_array_size(json_object_get(object, "steps")), cpus;

	if (steps) {
		print_steps(app, object);
		putchar('\n');
		print_rooms(app, object);
	}
	cpus = print_schedule_cpus(object);
	if (!print_rest(app, object) && !cpus && !steps)
		puts("nothing to do");
	print_notes(app, object);
}

/* Why it must not be carried out: 0, or the exit code after that was told. */
int refuse_schedule(struct app *app, const struct cgm_schedule *schedule, json_t *object)
{
	enum cgm_severity severity;
	const char *text;
	size_t i = 0;

	while ((text = cgm_schedule_note(schedule, i++, &severity)))
		if (severity == CGM_REFUSAL)
			break;
	if (!text)
		return 0;
	if (!app->json)
		return fail(app, EXIT_REFUSED, "%s", text);
	json_object_set_new(object, "state", json_string("refused"));
	json_object_set_new(object, "exit", json_integer(EXIT_REFUSED));
	json_object_set_new(object, "changed", json_false());
	json_object_set_new(object, "error", json_pack("{s:o}", "message", json_text(text)));
	print_json(app, json_incref(object));
	return EXIT_REFUSED;
}

/* ---- making one ---- */

/* 0, an exit code after the error was told, or -errno. */
static int add_wish(struct app *app, struct cgm_schedule *schedule, const struct wish *wish)
{
	struct cgm_group *group;
	cgm_nodeset now;
	char is[256], was[256];
	int code = 0, err = cgm_group_open(app->ctx, wish->cgroup, &group);

	if (err)
		return err;
	if (!json_can_name(wish->cgroup))
		code = fail(app, EXIT_REFUSED,
			    "%s: its name is not UTF-8, so that no plan can name it",
			    wish->cgroup);
	if (!code && wish->has_from && cgm_group_has_cpuset(group)) {
		err = cgm_group_mems(group, &now);
		if (!err && !cgm_nodeset_equal(&now, &wish->from))
			code = fail(app, EXIT_REFUSED,
				    "%s: has nodes \"%s\" now, the plan was made when it had \"%s\": make it again",
				    wish->cgroup, nodes_text(&now, is, sizeof(is)),
				    nodes_text(&wish->from, was, sizeof(was)));
	}
	if (!err && !code)
		err = cgm_schedule_add(schedule, group, &wish->to);
	cgm_group_unref(group);
	return code ? code : err;
}

static int try_wishes(struct app *app, const struct wishes *wishes,
		      struct cgm_schedule **schedule)
{
	int err = cgm_schedule_new(app->ctx, schedule);

	for (size_t i = 0; i < wishes->count && !err; i++)
		err = add_wish(app, *schedule, &wishes->list[i]);
	return err ? err : cgm_schedule_make(*schedule);
}

static bool has_cpuset(struct app *app, const char *path)
{
	struct cgm_group *group;
	int err = cgm_group_open(app->ctx, path, &group);
	bool has = err ? err != -ENOENT : cgm_group_has_cpuset(group);

	cgm_group_unref(group);
	return has;
}

/* What nobody named is nobody's mistake when it is gone. Returns whether any is. */
static bool forget_gone(struct app *app, struct wishes *wishes)
{
	size_t kept = 0, count = wishes->count;

	if (!wishes->found)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct wish *wish = &wishes->list[i];

		if (has_cpuset(app, wish->cgroup)) {
			wishes->list[kept++] = *wish;
			continue;
		}
		wishes_note(wishes, "note",
			    json_textf("%s: was removed, and is left out", wish->cgroup));
		free(wish->cgroup);
	}
	wishes->count = kept;
	return kept < count;
}

/* A schedule for the wishes, without those that are gone. 0, or an exit code. */
int schedule_from(struct app *app, struct wishes *wishes, struct cgm_schedule **out)
{
	int code;

	*out = NULL;
	do {
		cgm_schedule_free(*out);
		code = try_wishes(app, wishes, out);
	} while (code < 0 && forget_gone(app, wishes));
	if (code < 0)
		code = fail_errno(app, code);
	if (code) {
		cgm_schedule_free(*out);
		*out = NULL;
	}
	return code;
}

static int write_plan(struct app *app, const char *file, const json_t *object)
{
	char *text = shortage() ? NULL : json_dumps(object, JSON_INDENT(2));
	int err = text ? file_replace(AT_FDCWD, file, text, strlen(text), false) : -ENOMEM;

	free(text);
	return err ? fail(app, EXIT_FAILED, "%s: cannot write: %s", file, strerror(-err)) : 0;
}

static int tell(struct app *app, const struct plan *plan, const struct cgm_schedule *schedule,
		const struct wishes *wishes, const struct cpus *cpus)
{
	json_t *object = json_schedule(app, schedule, wishes);
	bool steps = json_array_size(json_object_get(object, "steps")) || cpus_to_do(cpus);
	int code = 0;

	cpus_report(cpus, object);
	json_object_set_new(object, "state", json_string(steps ? "planned" : "unchanged"));
	json_object_set_new(object, "exit", json_integer(0));
	json_object_set_new(object, "changed", json_false());
	if (!app->json)
		print_schedule(app, object);
	code = refuse_schedule(app, schedule, object);
	if (!code && plan->file)
		code = write_plan(app, plan->file, object);
	if (!code && app->json)
		print_json(app, json_incref(object));
	json_decref(object);
	return code;
}

static int take_option(struct app *app, int c, void *data)
{
	struct plan *plan = data;

	if (c != 'o')
		return spec_option(app, c, &plan->spec);
	plan->file = optarg;
	return 0;
}

static const struct options options = {
	.shorts = COMMON_SHORT TABLE_SHORT "o:",
	.longs = long_options,
	.help = help,
	.take = take_option,
};

int cmd_plan(struct app *app, int argc, char **argv)
{
	struct plan plan = { 0 };
	struct wishes wishes = { 0 };
	struct cgm_schedule *schedule = NULL;
	struct cpus *cpus = NULL;
	int code = read_options(app, argc, argv, &options, &plan);

	if (code != GO_ON)
		return code;
	code = spec_check(app, &plan.spec, argv + optind);
	if (!code)
		code = app_open(app);
	if (!code)
		code = spec_read(app, &plan.spec, argv + optind, &wishes);
	if (!code)
		code = schedule_from(app, &wishes, &schedule);
	if (!code)
		code = cpus_plan_schedule(app, schedule, &wishes, &plan.spec, &cpus);
	if (!code)
		code = tell(app, &plan, schedule, &wishes, cpus);
	cpus_free(cpus);
	cgm_schedule_free(schedule);
	wishes_free(&wishes);
	return code;
}
