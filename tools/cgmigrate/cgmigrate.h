/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the cgmigrate command share. */
#ifndef CGMIGRATE_H
#define CGMIGRATE_H

#include <getopt.h>
#include <jansson.h>
#include <libsmartcols.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include <libcgmigrate.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Exit codes: a contract, see cgmigrate(8). */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_PARTIAL = 3,
	EXIT_REFUSED = 4,
	EXIT_CANCELLED = 5,
	EXIT_TIMEOUT = 6,
	EXIT_SUPERSEDED = 7,
};

struct app {
	const char *verb;
	struct cgm_context *ctx;
	struct cgm_features features;
	char **argv;		/* the command line from the verb on */
	const char *sysroot;
	bool write_sysroot;	/* for tests that play the kernel */
	bool json;
	bool bytes;		/* exact numbers instead of 1.5G */
	bool noheadings;
	bool raw;
	bool quiet;		/* errors are kept, and told by the caller */
	char error[1200];	/* what fail() told last */
	json_t *warnings;	/* for the object of --json, or NULL */
	bool told;		/* that object has been printed */
	char unrecorded[256];	/* why there is no record of the job */
	const char *owed;	/* what that would have to say of it, or NULL */
};

struct verb {
	const char *name;
	int (*run)(struct app *app, int argc, char **argv);
	const char *summary;
};

int cmd_show(struct app *app, int argc, char **argv);
int cmd_map(struct app *app, int argc, char **argv);
int cmd_move(struct app *app, int argc, char **argv);
int cmd_plan(struct app *app, int argc, char **argv);
int cmd_apply(struct app *app, int argc, char **argv);
int cmd_undo(struct app *app, int argc, char **argv);
int cmd_settle(struct app *app, int argc, char **argv);
int cmd_pause(struct app *app, int argc, char **argv);
int cmd_resume(struct app *app, int argc, char **argv);
int cmd_cancel(struct app *app, int argc, char **argv);
int cmd_limit(struct app *app, int argc, char **argv);
int cmd_report(struct app *app, int argc, char **argv);
int cmd_wait(struct app *app, int argc, char **argv);
int cmd_run(struct app *app, int argc, char **argv);
int cmd_features(struct app *app, int argc, char **argv);
int cmd_bench(struct app *app, int argc, char **argv);

/* options.c */
#define GO_ON (-1)		/* no exit code */
#define COMMON_SHORT ":hVJ"
#define TABLE_SHORT "bnr"
#define OPT_SYSROOT 1000
#define OPT_WRITE_SYSROOT 1001
#define COMMON_LONG \
	{ "help", no_argument, NULL, 'h' }, \
	{ "version", no_argument, NULL, 'V' }, \
	{ "json", no_argument, NULL, 'J' }, \
	{ "sysroot", required_argument, NULL, OPT_SYSROOT }, \
	{ "write-sysroot", no_argument, NULL, OPT_WRITE_SYSROOT }
#define TABLE_LONG \
	{ "bytes", no_argument, NULL, 'b' }, \
	{ "noheadings", no_argument, NULL, 'n' }, \
	{ "raw", no_argument, NULL, 'r' }
#define OPTIONS_HEAD "\nOptions:\n"
#define COMMON_HELP \
	"  -J, --json             write JSON, errors too\n" \
	"  -h, --help             this text\n" \
	"  -V, --version          print the version\n"

/* What a verb takes. */
struct options {
	const char *shorts;	/* COMMON_SHORT and more */
	const struct option *longs; /* COMMON_LONG and more */
	const char *help;	/* with OPTIONS_HEAD before the options */
	const char *page;	/* its man page, where that is named for another verb */
	void (*more_help)(void);
	/* One of its own options; 0 or an exit code. */
	int (*take)(struct app *app, int c, void *data);
};

void print_version(void);
int read_options(struct app *app, int argc, char **argv, const struct options *options,
		 void *data);
int usage_error(struct app *app, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int app_open(struct app *app);
int app_open_jobs(struct app *app);
int parse_nodes(struct app *app, const char *option, const char *text,
		cgm_nodeset *set);
int parse_size(struct app *app, const char *option, const char *text, uint64_t *bytes);
int parse_time(struct app *app, const char *option, const char *text, uint64_t *usec);
int parse_stall(struct app *app, const char *text, uint64_t *usec);

/* target.c */
struct target {
	const char *text;		/* as the user wrote it */
	struct cgm_group *group;	/* NULL where there are no cgroups */
	pid_t pid;			/* a process was named, or 0 */
	pid_t *pids;			/* a user was named: whose processes, or NULL */
	size_t pid_count;
};

int target_open(struct app *app, const char *text, struct target *target);
void target_close(struct target *target);
int check_cgroups_and_jobs(struct app *app, char **targets);
int target_open_cgroup(struct app *app, const char *text, struct target *target);

/* ui.c */
#define NODES_TEXT_MAX 4096	/* for the longest list of nodes or CPUs there can be */
uint64_t now_usec(void);
int fail(struct app *app, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int fail_late(struct app *app, int code);
int fail_errno(struct app *app, int err);
void warn(struct app *app, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *plain_text(const char *text);
char *shell_word(const char *text);
const char *size_text(const struct app *app, uint64_t bytes, char *buf, size_t size);
const char *nodes_text(const cgm_nodeset *set, char *buf, size_t size);
void print_json(struct app *app, json_t *object);
json_t *json_nodes(const cgm_nodeset *set);
json_t *json_text(const char *text);
json_t *json_textf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool json_can_name(const char *name);
json_t *json_vma(const struct app *app, const struct cgm_vma *vma);
json_t *json_placement(const struct app *app, const struct cgm_placement *p);
void close_stdout(void);

/* follow.c */
#define FOLLOW_PAUSE SIGUSR1	/* understood by a process that runs a job */
#define FOLLOW_RESUME SIGUSR2
struct follow_options {
	uint64_t timeout_usec;	/* 0: for ever */
	bool cancel;		/* stop the job after that time, else it is left */
	bool leave;		/* SIGHUP leaves the job, it does not stop it */
	bool silent;		/* no progress: a terminal can keep us waiting */
	/* Called once a second while the job runs, or NULL. */
	void (*note)(const struct cgm_progress *progress, void *data);
	void *data;
	sigset_t waiting;	/* from follow_prepare() */
};

void follow_prepare(sigset_t *waiting);
void follow_alone(void);
bool follow_interrupted(const struct follow_options *options);
int follow_job(struct app *app, struct cgm_job *job, const struct follow_options *options,
	       int *code);
const char *progress_text(const struct app *app, const struct cgm_progress *p, char *buf,
			  size_t size);
bool progress_wanted(const struct app *app);
void progress_draw(const struct app *app, const struct cgm_progress *p, const char *more);

/* tool.c */
char *find_tool(const char *name);
bool plugin_is_there(struct app *app);

/* watch.c */
void watch_screen(struct app *app, char *(*text)(void *data), void *data, uint64_t usec);

/* map.c */
void map_title(struct app *app, const json_t *map, char *buf, size_t size);
const char *map_label(const json_t *map, size_t first, size_t end);

/* picture.c */
int picture_write(struct app *app, const char *file, json_t **maps, size_t count);
uint32_t node_colour(int node);

/* shortage.c */
void shortage_watch(void);
void shortage_note(void);
void shortage_note_error(int err);
bool shortage(void);
int shortage_check(struct app *app);

/* table.c */
struct column {
	const char *name;
	int flags;		/* SCOLS_FL_* */
	const char *help;
};

struct columns {
	const struct column *list;
	size_t count;
};

/* Columns the user wants, as indices. */
struct chosen {
	int columns[32];
	size_t count;
};

int choose_columns(struct app *app, const struct columns *columns, const char *usual,
		   const char *list, struct chosen *chosen);
void print_columns(const struct columns *columns);
bool colours_wanted(void);
struct libscols_table *table_new(const struct app *app);
void table_column(struct libscols_table *table, const char *name, int flags);
struct libscols_line *table_line(struct libscols_table *table);
void table_cell(struct libscols_line *line, size_t column, const char *text);
void table_print(struct libscols_table *table);

/* A size that is told of nodes. */
struct node_column {
	const char *head;
	const char *key;	/* of the node's object */
};

struct libscols_table *node_table(const struct app *app, const json_t *nodes,
				  const struct node_column *columns, size_t count);

/* state.c */
enum state_dir {
	STATE_RUN,		/* /run/cgmigrate: forgotten when the machine boots */
	STATE_LIB,		/* /var/lib/cgmigrate */
};

int state_path(const struct app *app, enum state_dir which, char *buf, size_t size);
int state_open(const struct app *app, enum state_dir which, bool make, char *why);
int state_check(struct app *app);
int state_lock(int dirfd, bool wait);
int state_save(int dirfd, const char *name, const json_t *object, bool sync);
int state_load(int dirfd, const char *name, json_t **object, char *why);
bool state_unread(int err);
bool read_text(const struct app *app, const char *name, char *buf, size_t size);

/* knobs.c */
json_t *json_knobs(const struct app *app);
void print_knobs(const struct app *app);

/* interrupted.c */
/* Put back what a killed job has left, or, dry, tell of it. False: it has to stay for now. */
typedef bool (*put_back_fn)(struct app *app, const char *id, const json_t *left, bool dry);

json_t *interrupted_state(struct app *app, const json_t *record);
void interrupted_put_back(struct app *app, bool dry);
void interrupted_walk(struct app *app, const char *key, put_back_fn put_back, bool dry);
void print_interrupted(const json_t *list);

/* jobs.c */
struct record;

json_t *user_name(void);
struct record *record_new(struct app *app, const json_t *plan);
void record_free(struct record *record);
const char *record_id(const struct record *record);
json_t *record_object(const struct record *record);
void stat_start(const char *stat, char *buf, size_t size);
int record_save(struct record *record);
void record_progress(struct record *record, const struct cgm_progress *progress);
bool record_has_progress(const json_t *object, struct cgm_progress *progress);
int record_take_over(const struct app *app, struct record *record);
void record_drop(struct record *record);
void record_end(const struct app *app, struct record *record, const json_t *object);
long job_number(const char *text);
json_t *record_read(const struct app *app, const char *id);
json_t *records_read(const struct app *app);
json_t *records_totals(const struct app *app);
bool record_runs(const json_t *object);
bool record_unwatched(const json_t *object);
void record_forget(const struct app *app, const char *id, const char *key);
int record_signal(const struct app *app, const json_t *object, int sig);

/* metrics.c */
int metrics_write(struct app *app, bool open, const char *file);

/* entry.c: what the system's journal gets */
void entry_of_job(const struct app *app, const json_t *record);
void entry_of_change(const struct app *app, const json_t *targets, int code);

/* mover.c */
bool has_engine(const struct app *app);
bool process_moves(const struct app *app, const json_t *target);
bool record_has_rounds(const json_t *record);
bool record_goes_on(const struct app *app, const json_t *record);
const char *record_cgroup(const json_t *record, size_t index);
bool process_concerns(const struct app *app, const json_t *record, const char *path);

/* others.c */
int others_check(struct app *app, const struct record *record);

/* rate.c */
void rate_plan(json_t *object, const struct cgm_plan *plan, uint64_t rate);
void rate_plan_schedule(const struct app *app, json_t *object,
			const struct cgm_schedule *schedule, uint64_t rate);
int rate_claim(struct app *app, struct record *record);
void rates_put_back(struct app *app, bool dry);

/* cpus.c: CPUs that go along with memory */
enum cpu_mode {
	CPUS_KEEP,
	CPUS_FOLLOW,		/* the CPUs of the new nodes */
	CPUS_LIST,
};

struct cpu_choice {
	enum cpu_mode mode;
	cgm_cpuset list;
};

struct cpus;

int parse_cpus(struct app *app, const char *option, const char *text,
	       struct cpu_choice *out);
int cpus_plan(struct app *app, const struct cgm_plan *plan, const struct cpu_choice *choice,
	      struct cpus **out);
void cpus_free(struct cpus *cpus);
bool cpus_change(const struct cpus *cpus);
void cpus_report(const struct cpus *cpus, json_t *object);
void print_cpus(const json_t *cpus);
const char *cpus_option(const json_t *target, const char *when, char *buf, size_t size);
void cpus_record(const struct cpus *cpus, const struct cgm_plan *plan, json_t *object);
int cpus_widen(struct app *app, const struct cpus *cpus);
void cpus_undo(const struct cpus *cpus);
bool cpus_end(struct app *app, const struct cpus *cpus, const struct cgm_plan *plan,
	      json_t *notes);
void cpus_put_back(struct app *app, bool dry);

/* cache.c: page cache that no process maps */
int parse_cache(struct app *app, const char *option, const char *text, enum cgm_cache *out);
void json_cache(json_t *target, const struct cgm_plan_item *item);
void print_cache(const struct app *app, const json_t *target);
const char *cache_option(const json_t *target);
void cache_record(json_t *object, const struct cgm_plan *plan);
void cache_put_back(struct app *app, bool dry);

/* migrate.c: cpuset.memory_migrate of cgroup v1 */
void migrate_record(const struct app *app, json_t *object, const struct cgm_plan *plan);
void migrate_record_schedule(const struct app *app, json_t *object,
			     const struct cgm_schedule *schedule);
void migrate_put_back(struct app *app, bool dry);

/* placing.c: which node's memory goes where */
struct placing {
	enum cgm_map_rule rule;
	struct cgm_node_pair *pairs;
	size_t count;
	cgm_nodeset only;	/* empty: all nodes are left */
};

int parse_map(struct app *app, const char *option, const char *text, struct placing *out);
void placing_free(struct placing *placing);
int placing_check(struct app *app, const struct placing *placing, const cgm_nodeset *to);
json_t *json_nodemap(const struct app *app, const struct cgm_plan *plan, size_t index,
		     const struct cgm_plan_item *item);
bool map_is_plain(const json_t *target);
void print_map_rule(const json_t *target);
bool map_option(const json_t *target, const cgm_nodeset *now, bool back, char *buf,
		size_t size);
#define MIXED_TEXT "%s: nodes of before and after it: what has come there cannot be told from what was there"
bool map_mixed(const json_t *target, cgm_nodeset *mixed);

/* freeze.c: cgroups that stand still while they move */
int freeze_plan(struct app *app, const struct cgm_plan *plan, json_t **out);
void freeze_report(json_t *frozen, json_t *object);
int freeze_start(struct app *app, const json_t *frozen);
json_t *freeze_end(struct app *app, const json_t *frozen, json_t *notes);
bool freeze_left(const json_t *record);
void freeze_look(struct app *app, json_t *record);
void print_frozen(const json_t *record);
void freeze_remind(struct app *app, bool dry);

/* owners.c: whose memory stayed */
struct stayed {
	bool any;
	bool kinds[CGM_KIND_COUNT];
};

void owners_note(const struct cgm_schedule *schedule, const struct cgm_plan *plan,
		 struct cgm_job *job, struct stayed *stayed);
json_t *json_owners_of(struct app *app, const struct cgm_schedule *schedule,
		       const struct stayed *stayed);
json_t *json_owners(struct app *app, const struct cgm_plan *plan, struct cgm_job *job);
void print_owners(const struct app *app, const json_t *result);

/* result.c: as objects */
json_t *report_plan(struct app *app, const struct cgm_plan *plan);
json_t *report_result(struct app *app, const struct cgm_plan *plan, struct cgm_job *job);
const char *code_name(int code);

/* result-print.c: and those as text */
void print_plan(struct app *app, const json_t *object);
void print_rooms(struct app *app, const json_t *object);
void print_pace(struct app *app, const json_t *object, uint64_t rate);
void print_notes(struct app *app, const json_t *object);
void print_result(struct app *app, const json_t *object);
void print_ways_on(const struct cgm_plan *plan, const json_t *object);

/* run.c: plan, start, follow and report; shared by move and settle */
struct run_options {
	uint64_t rate;
	uint64_t max_stall_usec;
	uint64_t timeout_usec;
	bool cancel_on_timeout;
	bool no_wait;
	bool dry_run;
	bool force;
	bool persist;
	bool freeze;
	enum cgm_cache cache;
	struct cpu_choice cpus;
};

/* Adds what a target means to a plan; 0 or an exit code. */
typedef int (*add_target_fn)(struct app *app, struct cgm_plan *plan, const char *target,
			     const void *data);

int run_targets(struct app *app, char **targets, add_target_fn add, const void *data,
		const struct run_options *options);

#endif /* CGMIGRATE_H */
