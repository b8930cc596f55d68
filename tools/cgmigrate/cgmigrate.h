/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the cgmigrate command share. */
#ifndef CGMIGRATE_H
#define CGMIGRATE_H

#include <jansson.h>
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
	const char *sysroot;
	bool json;
	bool bytes;		/* exact numbers instead of 1.5G */
	bool noheadings;
	bool raw;
};

struct verb {
	const char *name;
	int (*run)(struct app *app, int argc, char **argv);
	const char *summary;
};

int cmd_show(struct app *app, int argc, char **argv);
int cmd_move(struct app *app, int argc, char **argv);
int cmd_settle(struct app *app, int argc, char **argv);
int cmd_wait(struct app *app, int argc, char **argv);
int cmd_features(struct app *app, int argc, char **argv);

/* options.c */
#define COMMON_SHORT "hJ"
#define OPT_SYSROOT 1000
#define COMMON_LONG \
	{ "help", no_argument, NULL, 'h' }, \
	{ "json", no_argument, NULL, 'J' }, \
	{ "sysroot", required_argument, NULL, OPT_SYSROOT }
#define COMMON_HELP \
	"  -J, --json             write JSON, errors too\n" \
	"  -h, --help             this text\n"

bool common_option(struct app *app, int c);
int usage_error(struct app *app, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int bad_option(struct app *app, int c, char **argv);
int app_open(struct app *app);
int parse_nodes(struct app *app, const char *option, const char *text,
		cgm_nodeset *set);
int parse_size(struct app *app, const char *option, const char *text, uint64_t *bytes);
int parse_time(struct app *app, const char *option, const char *text, uint64_t *usec);

/* target.c */
struct target {
	const char *text;		/* as the user wrote it */
	struct cgm_group *group;	/* NULL where there are no cgroups */
	pid_t pid;			/* 0: a cgroup was named */
};

int target_open(struct app *app, const char *text, struct target *target);
void target_close(struct target *target);

/* ui.c */
int fail(struct app *app, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int fail_errno(struct app *app, int err);
void warn(struct app *app, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *size_text(const struct app *app, uint64_t bytes, char *buf, size_t size);
const char *nodes_text(const cgm_nodeset *set, char *buf, size_t size);
void print_json(json_t *object);
json_t *json_nodes(const cgm_nodeset *set);
json_t *json_placement(const struct app *app, const struct cgm_placement *p);
void close_stdout(void);

/* follow.c */
struct follow_options {
	uint64_t timeout_usec;	/* 0: for ever */
	sigset_t waiting;	/* from follow_prepare() */
};

void follow_prepare(sigset_t *waiting);

int follow_job(struct app *app, struct cgm_job *job, const struct follow_options *options,
	       int *code);

/* report.c */
json_t *report_plan(struct app *app, const struct cgm_plan *plan);
void print_plan(struct app *app, const struct cgm_plan *plan);
void print_notes(struct app *app, const struct cgm_plan *plan);
json_t *report_result(struct app *app, const struct cgm_plan *plan, struct cgm_job *job);
void print_result(struct app *app, const struct cgm_plan *plan, struct cgm_job *job,
		  int code);
const char *code_name(int code);

/* run.c: plan, start, follow and report; shared by move and settle */
struct run_options {
	uint64_t rate;
	uint64_t max_stall_usec;
	uint64_t timeout_usec;
	bool no_wait;
	bool dry_run;
	bool force;
};

int run_plan(struct app *app, struct cgm_plan *plan, const struct run_options *options);

#endif /* CGMIGRATE_H */
