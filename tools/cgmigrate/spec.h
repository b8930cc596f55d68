/* SPDX-License-Identifier: GPL-2.0 */
/* Which cgroups are to have which nodes: what plan, apply and undo start from. */
#ifndef SPEC_H
#define SPEC_H

#include "cgmigrate.h"

struct wish {
	char *cgroup;
	cgm_nodeset to;
	bool has_from;		/* a plan says what it started from */
	cgm_nodeset from;
	bool has_cpus;		/* it says which CPUs, too */
	cgm_cpuset cpus;
	bool has_cpus_before;	/* and which it had */
	cgm_cpuset cpus_before;
};

struct wishes {
	struct wish *list;
	size_t count;
	json_t *notes;		/* for the plan, or NULL */
	bool found;		/* by looking at what is there, nobody named them */
	bool partial;		/* not all that were found can be moved */
};

enum spec_kind { SPEC_FILE, SPEC_SWAP, SPEC_EVICT, SPEC_BALANCE };

struct spec {
	enum spec_kind kind;
	cgm_nodeset nodes;	/* to evict */
	bool trusted;		/* a file has to be root's or ours */
	bool has_cpus;		/* --cpus was given */
	struct cpu_choice cpus;
};

/* Options that plan and apply share. */
#define OPT_SWAP 1100
#define OPT_EVICT 1101
#define OPT_BALANCE 1102
#define OPT_WITH_CPUS 1103
#define SPEC_LONG \
	{ "swap", no_argument, NULL, OPT_SWAP }, \
	{ "evict", required_argument, NULL, OPT_EVICT }, \
	{ "balance", no_argument, NULL, OPT_BALANCE }, \
	{ "cpus", required_argument, NULL, OPT_WITH_CPUS }
#define SPEC_HELP \
	"      --swap A B         two cgroups exchange their nodes\n" \
	"      --evict NODES      no cgroup keeps any of these nodes\n" \
	"      --balance          spread the cgroups, so that nodes are used alike\n" \
	"      --cpus WHICH       follow: those of the new nodes, and pinned threads go\n" \
	"                         with them; keep; if not given, what a file says\n"

int spec_option(struct app *app, int c, struct spec *spec);
int spec_check(struct app *app, const struct spec *spec, char **arguments);
int spec_read(struct app *app, const struct spec *spec, char **arguments,
	      struct wishes *wishes);
int wish_add(struct app *app, struct wishes *wishes, const char *cgroup,
	     const cgm_nodeset *to, const cgm_nodeset *from);
void wishes_note(struct wishes *wishes, const char *severity, json_t *message);
void wishes_free(struct wishes *wishes);
int spec_from_json(struct app *app, const char *name, json_t *object,
		   struct wishes *wishes);

/* spec-system.c: what can be worked out from the present state */
int spec_swap(struct app *app, char **cgroups, struct wishes *wishes);
int spec_evict(struct app *app, const cgm_nodeset *nodes, struct wishes *wishes);
int spec_balance(struct app *app, struct wishes *wishes);

/* spec-left.c */
int spec_left(struct app *app, const cgm_nodeset *nodes, struct wishes *wishes);

/* plan.c */
int schedule_from(struct app *app, struct wishes *wishes,
		  struct cgm_schedule **schedule);
int refuse_schedule(struct app *app, const struct cgm_schedule *schedule, json_t *object);
json_t *json_schedule(struct app *app, const struct cgm_schedule *schedule,
		      const struct wishes *wishes);
void print_schedule(struct app *app, const json_t *object);

/* pending.c */
int pending_wait(struct app *app, const char *cgroup);

/* cpus-rounds.c */
enum cpus_way {
	CPUS_ON,
	CPUS_BACK,
	CPUS_BACK_IF_LEFT,	/* unless somebody else has changed them since */
};

int cpus_plan_schedule(struct app *app, const struct cgm_schedule *schedule,
		       const struct wishes *wishes, const struct spec *spec,
		       struct cpus **out);
int cpus_from_journal(struct app *app, const struct cgm_schedule *schedule,
		      const json_t *targets, enum cpus_way way, struct cpus **out);
void cpus_to_journal(const struct cpus *cpus, json_t *targets);
bool cpus_to_do(const struct cpus *cpus);
bool print_schedule_cpus(const json_t *object);

#endif /* SPEC_H */
