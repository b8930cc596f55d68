// SPDX-License-Identifier: GPL-2.0
/*
 * cgmigrate apply and undo: carry a plan out, and go back.
 *
 * Before anything is changed the journal says what everything was and what it is
 * to be. What was killed on the way is continued, or undone, by making a schedule
 * from where everything is then to where the journal says; so it does not matter
 * between which two writes that was. The journal is replaced as a whole and
 * written to the disk before the first change and after the last.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../libcgroup-plugin/plugin/files.h"
#include "rounds.h"
#include "spec.h"

#define JOURNAL "apply.json"
#define JOURNAL_VERSION 1

enum { OPT_CONTINUE = 1, OPT_DRY_RUN, OPT_FORCE, OPT_RATE, OPT_MAX_STALL };

static const struct option apply_options[] = {
	COMMON_LONG,
	SPEC_LONG,
	{ "continue", no_argument, NULL, OPT_CONTINUE },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "max-stall", required_argument, NULL, OPT_MAX_STALL },
	TABLE_LONG,
	{ NULL, 0, NULL, 0 },
};

static const struct option undo_options[] = {
	COMMON_LONG,
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "max-stall", required_argument, NULL, OPT_MAX_STALL },
	{ "force", no_argument, NULL, OPT_FORCE },
	TABLE_LONG,
	{ NULL, 0, NULL, 0 },
};

#define PACE_HELP \
	"      --rate BYTES       each move at most so much a second (500M)\n" \
	"      --max-stall TIME   longest stall of the jobs, stock kernels (2ms)\n"

static const char apply_help[] =
	"Usage: cgmigrate apply [OPTION...] PLAN\n"
	"       cgmigrate apply [OPTION...] --swap A B | --evict NODES | --balance\n"
	"       cgmigrate apply --continue\n"
	"\n"
	"Carry out what \"cgmigrate plan\" wrote, or anything it takes; \"-\" is the standard\n"
	"input. The order is worked out again from where everything is now, and printed\n"
	"first.\n"
	OPTIONS_HEAD
	"      --continue         go on with what was interrupted or killed\n"
	"      --dry-run          print the plan, change nothing\n"
	PACE_HELP
	SPEC_HELP
	"  -b, --bytes            print sizes in bytes\n"
	"  -n, --noheadings       no heading\n"
	"  -r, --raw              words separated by single spaces, sizes in bytes\n"
	COMMON_HELP;

static const char undo_help[] =
	"Usage: cgmigrate undo [OPTION...]\n"
	"\n"
	"Give all cgroups of the last apply the nodes back that they had before, and the\n"
	"CPUs where those went along, also when it was interrupted or killed.\n"
	OPTIONS_HEAD
	"      --dry-run          print the plan, change nothing\n"
	"      --force            also if somebody has changed them since\n"
	PACE_HELP
	"  -b, --bytes            print sizes in bytes\n"
	"  -n, --noheadings       no heading\n"
	"  -r, --raw              words separated by single spaces, sizes in bytes\n"
	COMMON_HELP;

struct apply {
	struct app *app;
	struct spec spec;
	bool go_on;
	bool dry_run;
	bool force;
	bool unfinished;	/* what the journal says was stopped on the way */
	bool partial;		/* something had to be left out */
	uint64_t rate;
	uint64_t max_stall_usec;
	sigset_t waiting;	/* signals that are held back, but while it waits */
	int dirfd;		/* where the journal is, -1: nowhere yet */
	int lock;
	json_t *journal;	/* as found, or made; NULL: none */
	struct cpus *cpus;
};

/* ---- the journal ---- */

static const char *journal_state(const struct apply *apply)
{
	const char *state = json_string_value(json_object_get(apply->journal, "state"));

	return state ? state : "";
}

static bool is_unfinished(const struct apply *apply)
{
	return !strcmp(journal_state(apply), "applying") ||
	       !strcmp(journal_state(apply), "undoing");
}

/* Where it would be; a user's own is named even where nothing says where that is. */
static const char *journal_dir(const struct apply *apply, char *buf, size_t size)
{
	if (state_path(apply->app, STATE_LIB, buf, size))
		snprintf(buf, size, "$HOME/.local/state/cgmigrate");
	return buf;
}

static int lock_journal(struct apply *apply)
{
	apply->lock = state_lock(apply->dirfd, false);
	if (apply->lock == -EWOULDBLOCK)
		return fail(apply->app, EXIT_REFUSED, "another apply or undo is running");
	if (apply->lock < 0)
		return fail(apply->app, EXIT_REFUSED, "cannot lock the journal: %s",
			    strerror(-apply->lock));
	return 0;
}

/* One that cannot be understood may be all that knows how to go back: it stays. */
static int check_journal(struct apply *apply, const char *dir)
{
	const json_t *version = json_object_get(apply->journal, "version");

	if (!apply->journal || (json_is_integer(version) &&
				json_integer_value(version) == JOURNAL_VERSION))
		return 0;
	return fail(apply->app, EXIT_REFUSED,
		    "the journal %s/" JOURNAL ": is not of version %d, which this cgmigrate writes: end what it was for with the one that wrote it, or put it away",
		    dir, JOURNAL_VERSION);
}

static int load_journal(struct apply *apply, const char *dir)
{
	struct app *app = apply->app;
	char why[FILE_WHY];
	int err = state_load(apply->dirfd, JOURNAL, &apply->journal, why);

	if (err == -EPERM)
		return fail(app, EXIT_REFUSED, "the journal %s/" JOURNAL ": %s", dir, why);
	if (err == -EBADMSG)
		return fail(app, EXIT_REFUSED,
			    "the journal %s/" JOURNAL ": %s: put it away to begin anew; the last apply cannot be undone then",
			    dir, why);
	if (state_unread(err))
		return fail(app, EXIT_FAILED, "cannot read the journal: %s", why);
	return check_journal(apply, dir);
}

/* Only one at a time; the lock is the process's, so a killed one holds nothing. */
static int open_journal(struct apply *apply)
{
	struct app *app = apply->app;
	char dir[4096], why[FILE_WHY];
	int code;

	journal_dir(apply, dir, sizeof(dir));
	apply->dirfd = state_open(app, STATE_LIB, !apply->dry_run, why);
	if (apply->dirfd == -ENOENT && apply->dry_run)
		return 0;
	if (apply->dirfd == -EROFS)
		return fail(app, EXIT_REFUSED, "a recorded tree is not written to");
	if (apply->dirfd < 0)
		return fail(app, EXIT_REFUSED, "cannot keep a journal in %s: %s", dir, why);
	code = apply->dry_run ? 0 : lock_journal(apply);
	return code ? code : load_journal(apply, dir);
}

static int save_journal(struct apply *apply, const char *state)
{
	int err;

	if (json_object_set_new(apply->journal, "state", json_string(state)))
		err = -ENOMEM;
	else
		err = state_save(apply->dirfd, JOURNAL, apply->journal, true);
	return err ? fail(apply->app, EXIT_FAILED, "cannot write the journal: %s",
			  strerror(-err)) : 0;
}

/* Inodes of cgroups are others after the machine was started again. */
static void read_boot(const struct apply *apply, char *boot, size_t size)
{
	if (!read_text(apply->app, "proc/sys/kernel/random/boot_id", boot, size))
		*boot = '\0';
	boot[strcspn(boot, "\n")] = '\0';
}

static bool is_of_this_boot(const struct apply *apply)
{
	const char *was = json_string_value(json_object_get(apply->journal, "boot"));
	char boot[64];

	read_boot(apply, boot, sizeof(boot));
	return was && !strcmp(was, boot);
}

/* What no other cgroup has had since the machine was started: 0, or -errno. */
static int read_inode(struct cgm_group *group, json_int_t *inode)
{
	int fd = cgm_group_open_file(group, ".", O_RDONLY | O_DIRECTORY), err = 0;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		err = -errno;
	else
		*inode = st.st_ino;
	close(fd);
	return err;
}

static int add_inodes(struct apply *apply, const struct cgm_schedule *schedule,
		      json_t *targets)
{
	struct cgm_schedule_target target = { .size = sizeof(target) };
	json_int_t inode = 0;
	int err = 0;

	for (size_t i = 0; !err && !cgm_schedule_target(schedule, i, &target); i++) {
		err = read_inode(target.group, &inode);
		if (!err)
			json_object_set_new(json_array_get(targets, i), "inode",
					    json_integer(inode));
	}
	return err ? fail(apply->app, EXIT_FAILED, "cannot look at %s: %s",
			  cgm_group_path(target.group), strerror(-err)) : 0;
}

/* What is about to be done: everything as it is, and as it is to be. */
static int new_journal(struct apply *apply, const struct cgm_schedule *schedule,
		       const json_t *plan)
{
	json_t *targets = json_array(), *target;
	char boot[64];
	size_t i;
	int code;

	json_array_foreach(json_object_get(plan, "targets"), i, target)
		json_array_append_new(targets,
			json_pack("{s:O, s:O, s:O, s:O, s:O}", "cgroup",
				  json_object_get(target, "cgroup"), "from",
				  json_object_get(target, "from"), "to",
				  json_object_get(target, "to"), "before",
				  json_object_get(target, "before"), "after",
				  json_object_get(target, "after")));
	cpus_to_journal(apply->cpus, targets);
	code = add_inodes(apply, schedule, targets);
	json_decref(apply->journal);
	read_boot(apply, boot, sizeof(boot));
	apply->journal = json_pack("{s:i, s:s, s:o}", "version", JOURNAL_VERSION,
				   "boot", boot, "targets", targets);
	if (!code)	/* one target less would not be undone */
		code = shortage_check(apply->app);
	return code ? code : save_journal(apply, "applying");
}

/* What it says of threads has changed. */
static int save_again(void *data)
{
	struct apply *apply = data;
	char state[16];

	snprintf(state, sizeof(state), "%s", journal_state(apply));
	return save_journal(apply, state);
}

static void close_journal(struct apply *apply)
{
	if (apply->lock >= 0)
		close(apply->lock);
	if (apply->dirfd >= 0)
		close(apply->dirfd);
	json_decref(apply->journal);
}

/* ---- from the journal ---- */

/* Is it the cgroup that had this name when the journal was written, as far as one can tell? */
static bool is_the_same(const struct apply *apply, struct cgm_group *group,
			const json_t *target)
{
	const json_t *was = json_object_get(target, "inode");
	json_int_t inode = 0;

	if (!was || !is_of_this_boot(apply))
		return true;
	return read_inode(group, &inode) || inode == json_integer_value(was);
}

/*
 * A cgroup that was removed has nothing to go on with, nor to be given back; one that has
 * its name by now is another one. The others are not to wait for it for ever.
 */
static void forget_removed(struct apply *apply)
{
	json_t *targets = json_object_get(apply->journal, "targets");
	size_t i = 0;

	while (i < json_array_size(targets)) {
		const json_t *target = json_array_get(targets, i);
		const char *path = json_string_value(json_object_get(target, "cgroup"));
		struct cgm_group *group = NULL;
		int err = path ? cgm_group_open(apply->app->ctx, path, &group) : 0;
		bool another = group && !is_the_same(apply, group, target);

		cgm_group_unref(group);
		if (err == -ENOENT || another) {
			warn(apply->app, "%s: was removed since, and is left out%s", path,
			     another ? ": another one has its name" : "");
			json_array_remove(targets, i);
		} else {
			i++;
		}
	}
}

/* Has somebody else changed what apply left? */
static int check_left(struct apply *apply, const char *cgroup, const cgm_nodeset *left)
{
	struct app *app = apply->app;
	struct cgm_group *group;
	char is[256], was[256];
	cgm_nodeset now;
	int code = 0, err = cgm_group_open(app->ctx, cgroup, &group);

	if (!err)
		err = cgm_group_mems(group, &now);
	if (!err && !cgm_nodeset_equal(&now, left))
		code = fail(app, EXIT_REFUSED,
			    "%s: has nodes \"%s\" now, apply left it with \"%s\"; --force goes back all the same",
			    cgroup, nodes_text(&now, is, sizeof(is)),
			    nodes_text(left, was, sizeof(was)));
	cgm_group_unref(group);
	return code ? code : err ? fail_errno(app, err) : 0;
}

/* A node may have lost its memory since. Of those a cgroup had, it gets what there is. */
static void leave_out_empty(struct apply *apply, const char *cgroup, cgm_nodeset *nodes)
{
	const cgm_nodeset *memory = &apply->app->features.memory;
	cgm_nodeset both;
	char had[256];

	cgm_nodeset_and(&both, nodes, memory);
	if (!cgm_nodeset_weight(&both) || cgm_nodeset_equal(&both, nodes))
		return;
	warn(apply->app, "%s: had nodes %s, of which not all have memory any more", cgroup,
	     nodes_text(nodes, had, sizeof(had)));
	*nodes = both;
}

/* Where the journal says that everything is to go: on, or back. */
static int wishes_from_journal(struct apply *apply, bool back, struct wishes *wishes)
{
	struct wishes all = { 0 };
	bool check = back && !apply->force && !apply->unfinished;
	int code = spec_from_json(apply->app, "the journal", apply->journal, &all);

	for (size_t i = 0; i < all.count && !code; i++) {
		struct wish *wish = &all.list[i];

		if (!apply->dry_run)
			code = pending_wait(apply->app, wish->cgroup);
		if (!code && check)
			code = check_left(apply, wish->cgroup, &wish->to);
		if (!code && back && !wish->has_from)
			code = fail(apply->app, EXIT_REFUSED,
				    "the journal does not say which nodes %s had",
				    wish->cgroup);
		if (!code && back && apply->force)
			leave_out_empty(apply, wish->cgroup, &wish->from);
		if (!code)
			code = wish_add(apply->app, wishes, wish->cgroup,
					back ? &wish->from : &wish->to, NULL);
	}
	wishes_free(&all);
	return code;
}

static int plan_cpus(struct apply *apply, const struct cgm_schedule *schedule,
		     const struct wishes *wishes, bool back)
{
	bool check = back && !apply->force && !apply->unfinished;

	if (!back && !apply->go_on)
		return cpus_plan_schedule(apply->app, schedule, wishes, &apply->spec,
					  &apply->cpus);
	return cpus_from_journal(apply->app, schedule,
				 json_object_get(apply->journal, "targets"),
				 check ? CPUS_BACK_IF_LEFT : back ? CPUS_BACK : CPUS_ON,
				 &apply->cpus);
}

/* ---- doing it ---- */

static int tell(struct app *app, json_t *object, const char *state, int code, bool changed)
{
	json_object_set_new(object, "state", json_string(state));
	json_object_set_new(object, "exit", json_integer(code));
	json_object_set_new(object, "changed", json_boolean(changed));
	if (app->json)
		print_json(app, json_incref(object));
	return code;
}

static void print_end(struct app *app, const json_t *object, int code)
{
	if (json_object_get(object, "result"))
		print_result(app, object);
	if (code && code != EXIT_PARTIAL)
		puts("to go on:   cgmigrate apply --continue\n"
		     "to go back: cgmigrate undo");
}

/* How far the round is that is under way. */
static void note_progress(const struct cgm_progress *progress, void *data)
{
	record_progress(data, progress);
}

/* With everything written down. What a round could not do was told by it. */
static int run_schedule(struct apply *apply, struct cgm_schedule *schedule, json_t *object,
			bool back, struct record *record)
{
	struct app *app = apply->app;
	struct rounds rounds = {
		.app = app, .schedule = schedule, .object = object, .rate = apply->rate,
		.max_stall_usec = apply->max_stall_usec, .cpus = apply->cpus,
		.targets = json_object_get(apply->journal, "targets"),
		.by_journal = back || apply->go_on, .back = back,
		.save = save_again, .data = apply, .follow.waiting = apply->waiting,
		.follow.note = note_progress, .follow.data = record,
	};
	int code, failed;

	app->quiet = app->json;	/* errors go into the object below */
	code = rounds_run(&rounds);
	failed = !code || code == EXIT_PARTIAL ? save_journal(apply, back ? "undone" : "applied") :
						 0;
	if (failed)
		code = failed;
	if (!code && apply->partial)
		code = EXIT_PARTIAL;
	app->quiet = false;
	if (code && code != EXIT_PARTIAL && *app->error)
		json_object_set_new(object, "error",
				    json_pack("{s:o}", "message", json_text(app->error)));
	cpus_report(apply->cpus, object);
	tell(app, object, code_name(code), code, rounds.changed);
	record_end(app, record, object);
	if (!app->json)
		print_end(app, object, code);
	return code;
}

static int write_down(struct apply *apply, const struct cgm_schedule *schedule,
		      const json_t *object, bool back)
{
	if (back || apply->go_on)
		return save_journal(apply, back ? "undoing" : "applying");
	return new_journal(apply, schedule, object);
}

/* There is something to do. Returns the exit code. */
static int start(struct apply *apply, struct cgm_schedule *schedule, json_t *object,
		 bool back)
{
	struct record *record;
	int code;

	follow_prepare(&apply->waiting);	/* others find the record */
	rate_plan_schedule(apply->app, object, schedule, apply->rate);
	migrate_record_schedule(apply->app, object, schedule);
	record = record_new(apply->app, object);
	code = others_check(apply->app, record);
	if (!code)
		code = rate_claim(apply->app, record);
	if (!code)
		code = shortage_check(apply->app);
	if (!code)
		code = write_down(apply, schedule, object, back);
	if (code) {
		record_drop(record);
		return code;
	}
	if (record)
		json_object_set_new(object, "job", json_string(record_id(record)));
	return run_schedule(apply, schedule, object, back, record);
}

/* Nothing to do: everything is where the journal says that it goes. */
static int end(struct apply *apply, json_t *object, bool back)
{
	int code = 0;

	if (back || apply->go_on)
		code = save_journal(apply, back ? "undone" : "applied");
	if (code)
		return code;
	code = apply->partial ? EXIT_PARTIAL : 0;
	return tell(apply->app, object, code ? code_name(code) : "unchanged", code, false);
}

/* Returns the exit code. */
static int carry_out(struct apply *apply, struct cgm_schedule *schedule,
		     const struct wishes *wishes, bool back)
{
	struct app *app = apply->app;
	json_t *object = json_schedule(app, schedule, wishes);
	bool steps;
	int code = 0;

	if (apply->unfinished)
		rest_report(schedule, json_object_get(apply->journal, "targets"), back,
			    object);
	steps = json_array_size(json_object_get(object, "steps")) ||
		json_object_get(object, "rest") || cpus_to_do(apply->cpus);
	cpus_report(apply->cpus, object);
	if (!app->json)
		print_schedule(app, object);
	code = refuse_schedule(app, schedule, object);
	if (!code && apply->dry_run)
		tell(app, object, steps ? "planned" : "unchanged", 0, false);
	else if (!code)
		code = steps ? start(apply, schedule, object, back) :
			       end(apply, object, back);
	json_decref(object);
	return code;
}

static int run(struct apply *apply, char **arguments, bool back)
{
	struct wishes wishes = { 0 };
	struct cgm_schedule *schedule = NULL;
	int code;

	if (back || apply->go_on) {
		apply->unfinished = is_unfinished(apply);
		forget_removed(apply);
		code = wishes_from_journal(apply, back, &wishes);
	} else {
		code = spec_read(apply->app, &apply->spec, arguments, &wishes);
	}
	interrupted_put_back(apply->app, apply->dry_run);
	if (!code)
		code = schedule_from(apply->app, &wishes, &schedule);
	apply->partial = wishes.partial;
	if (!code)
		code = plan_cpus(apply, schedule, &wishes, back);
	if (!code)
		code = carry_out(apply, schedule, &wishes, back);
	cpus_free(apply->cpus);
	cgm_schedule_free(schedule);
	wishes_free(&wishes);
	return code;
}

/* ---- the verbs ---- */

static int take_option(struct app *app, int c, void *data)
{
	struct apply *apply = data;

	switch (c) {
	case OPT_CONTINUE:
		apply->go_on = true;
		return 0;
	case OPT_DRY_RUN:
		apply->dry_run = true;
		return 0;
	case OPT_FORCE:
		apply->force = true;
		return 0;
	case OPT_RATE:
		return parse_size(app, "--rate", optarg, &apply->rate);
	case OPT_MAX_STALL:
		return parse_stall(app, optarg, &apply->max_stall_usec);
	default:
		return spec_option(app, c, &apply->spec);
	}
}

static int nothing_to_do(struct app *app, const char *why)
{
	if (app->json)
		print_json(app, json_pack("{s:s, s:s, s:i, s:b}", "command", app->verb, "state",
					  "unchanged", "exit", 0, "changed", 0));
	else
		printf("nothing to do: %s\n", why);
	return EXIT_OK;
}

static int apply_checked(struct apply *apply, char **arguments)
{
	struct app *app = apply->app;

	if (!strcmp(journal_state(apply), "undoing"))
		return fail(app, EXIT_REFUSED,
			    "the last undo was interrupted: \"cgmigrate undo\" goes on with it");
	if (apply->go_on && !is_unfinished(apply))
		return nothing_to_do(app, "no apply was interrupted");
	if (!apply->go_on && is_unfinished(apply))
		return fail(app, EXIT_REFUSED,
			    "the last apply was interrupted: \"cgmigrate apply --continue\" goes on with it, \"cgmigrate undo\" goes back");
	return run(apply, arguments, false);
}

int cmd_apply(struct app *app, int argc, char **argv)
{
	static const struct options options = {
		.shorts = COMMON_SHORT TABLE_SHORT, .longs = apply_options,
		.help = apply_help, .page = "plan", .take = take_option,
	};
	struct apply apply = {
		.app = app, .spec.trusted = true, .dirfd = -1, .lock = -1,
	};
	int code = read_options(app, argc, argv, &options, &apply);

	if (code != GO_ON)
		return code;
	if (apply.go_on && (argv[optind] || apply.spec.kind != SPEC_FILE ||
			    apply.spec.has_cpus))
		return usage_error(app, "--continue: takes nothing else, the journal says what to do");
	code = apply.go_on ? 0 : spec_check(app, &apply.spec, argv + optind);
	if (!code)
		code = app_open_jobs(app);
	if (!code)
		code = open_journal(&apply);
	if (!code)
		code = apply_checked(&apply, argv + optind);
	close_journal(&apply);
	return code;
}

int cmd_undo(struct app *app, int argc, char **argv)
{
	static const struct options options = {
		.shorts = COMMON_SHORT TABLE_SHORT, .longs = undo_options,
		.help = undo_help, .page = "plan", .take = take_option,
	};
	struct apply apply = { .app = app, .dirfd = -1, .lock = -1 };
	int code = read_options(app, argc, argv, &options, &apply);

	if (code != GO_ON)
		return code;
	if (optind < argc)
		return usage_error(app, "%s: undo takes no target; it undoes the last apply",
				   argv[optind]);
	code = app_open_jobs(app);
	if (!code)
		code = open_journal(&apply);
	if (!code && (!apply.journal || !strcmp(journal_state(&apply), "undone")))
		code = nothing_to_do(app, "there is no apply to undo");
	else if (!code)
		code = run(&apply, argv + optind, true);
	close_journal(&apply);
	return code;
}
