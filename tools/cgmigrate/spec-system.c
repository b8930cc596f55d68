// SPDX-License-Identifier: GPL-2.0
/* What can be worked out from where everything is: swap, evict, balance. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spec.h"

/* A cgroup with nodes of its own. */
struct job {
	char *path;
	cgm_nodeset mems;	/* as configured */
	cgm_nodeset above;	/* what its parent has */
	uint64_t bytes;
	bool inner;		/* others with own nodes are below it */
	bool stays;		/* it, or one below it, cannot be moved */
};

struct jobs {
	struct app *app;
	struct job *list;
	size_t count;
	int code;
};

static void free_jobs(struct jobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++)
		free(jobs->list[i].path);
	free(jobs->list);
}

static int parent_nodes(struct app *app, const char *path, cgm_nodeset *nodes)
{
	char *above = strdup(path), *slash;
	struct cgm_group *parent;
	int err;

	if (!above)
		return -ENOMEM;
	slash = strrchr(above, '/');
	slash[slash == above] = '\0';
	err = cgm_group_open(app->ctx, above, &parent);
	free(above);
	if (err)
		return err;
	err = cgm_group_effective_mems(parent, nodes);
	cgm_group_unref(parent);
	return err;
}

static bool is_below(const char *path, const char *above)
{
	size_t len = strlen(above);

	return !strncmp(path, above, len) && path[len] == '/';
}

static void mark_inner(struct jobs *jobs, const char *path)
{
	for (size_t i = 0; i < jobs->count; i++)
		if (is_below(path, jobs->list[i].path))
			jobs->list[i].inner = true;
}

static int add_job(struct cgm_group *group, void *data)
{
	struct jobs *jobs = data;
	struct cgm_placement *placement;
	struct job *more, job = { 0 };
	int err;

	if (!strcmp(cgm_group_path(group), "/") || !cgm_group_has_cpuset(group) ||
	    cgm_group_mems(group, &job.mems) || !cgm_nodeset_weight(&job.mems))
		return 0;
	err = parent_nodes(jobs->app, cgm_group_path(group), &job.above);
	if (!err)
		err = cgm_placement_read(group, 0, &placement);
	if (err)
		return err == -ENOENT || err == -ENODEV ? 0 : err;
	job.bytes = cgm_placement_bytes(placement, CGM_KIND_MOVABLE, CGM_NODE_ALL);
	cgm_placement_free(placement);
	mark_inner(jobs, cgm_group_path(group));
	job.path = strdup(cgm_group_path(group));
	more = realloc(jobs->list, (jobs->count + 1) * sizeof(*more));
	if (more)
		jobs->list = more;
	if (!job.path || !more) {
		free(job.path);
		return -ENOMEM;
	}
	more[jobs->count++] = job;
	return 0;
}

static int find_jobs(struct app *app, struct jobs *jobs)
{
	struct cgm_group *root;
	int err = cgm_group_open(app->ctx, "/", &root);

	jobs->app = app;
	if (err)
		return fail_errno(app, err);
	err = cgm_group_walk(root, add_job, jobs);
	cgm_group_unref(root);
	return err ? fail_errno(app, err) : 0;
}

static int larger_first(const void *a, const void *b)
{
	const struct job *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return strcmp(x->path, y->path);
}

static void set_minus(cgm_nodeset *out, const cgm_nodeset *a, const cgm_nodeset *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(out->bits); i++)
		out->bits[i] = a->bits[i] & ~b->bits[i];
}

/* ---- swap ---- */

static int own_nodes(struct app *app, const char *name, struct target *target,
		     cgm_nodeset *mems)
{
	int err, code = target_open_cgroup(app, name, target);

	if (code)
		return code;
	err = cgm_group_mems(target->group, mems);
	if (!err && !cgm_nodeset_weight(mems))
		code = fail(app, EXIT_REFUSED, "%s: has no nodes of its own to exchange", name);
	else if (err)
		code = fail_errno(app, err);
	if (code)
		target_close(target);
	return code;
}

int spec_swap(struct app *app, char **cgroups, struct wishes *wishes)
{
	struct target a, b;
	cgm_nodeset a_mems, b_mems;
	int code = own_nodes(app, cgroups[0], &a, &a_mems);

	if (code)
		return code;
	code = own_nodes(app, cgroups[1], &b, &b_mems);
	if (!code) {
		code = wish_add(app, wishes, cgm_group_path(a.group), &b_mems, NULL);
		if (!code)
			code = wish_add(app, wishes, cgm_group_path(b.group), &a_mems, NULL);
		target_close(&b);
	}
	target_close(&a);
	return code;
}

/* ---- choosing nodes ---- */

/* The nodes of a set that have least, so many of them; own ones win a draw. */
static cgm_nodeset least_used(const cgm_nodeset *from, int count, const double *used,
			      const cgm_nodeset *own)
{
	cgm_nodeset out;

	cgm_nodeset_clear(&out);
	for (; count > 0; count--) {
		int best = -1;

		for (int n = cgm_nodeset_next(from, -1); n >= 0;
		     n = cgm_nodeset_next(from, n)) {
			if (cgm_nodeset_has(&out, n))
				continue;
			if (best < 0 || used[n] < used[best] ||
			    (used[n] == used[best] && cgm_nodeset_has(own, n) &&
			     !cgm_nodeset_has(own, best)))
				best = n;
		}
		if (best < 0)
			break;
		cgm_nodeset_add(&out, best);
	}
	return out;
}

static void use_nodes(double *used, const cgm_nodeset *nodes, double bytes)
{
	int count = cgm_nodeset_weight(nodes);

	for (int n = cgm_nodeset_next(nodes, -1); n >= 0; n = cgm_nodeset_next(nodes, n))
		used[n] += bytes / count;
}

static double *new_used(struct app *app)
{
	double *used = calloc(CGM_NODES_MAX, sizeof(*used));

	if (!used)
		fail(app, EXIT_FAILED, "out of memory");
	return used;
}

/* A name that is no text is in nobody's plan, and its owner keeps nobody else from theirs. */
static void leave_out(const struct job *job, struct wishes *wishes)
{
	wishes_note(wishes, "warning",
		    json_textf("%s: %s, and is left out", job->path,
			       json_can_name(job->path) ?
				       "one below it cannot be moved" :
				       "its name is not UTF-8, so that no plan can name it"));
	wishes->partial = true;
}

/* ---- evict ---- */

static bool is_on(const struct job *job, const cgm_nodeset *nodes)
{
	cgm_nodeset both;

	cgm_nodeset_and(&both, &job->mems, nodes);
	return cgm_nodeset_weight(&both);
}

/* What cannot be named keeps its nodes, and needs them of those above it. */
static void mark_staying(struct jobs *jobs, const cgm_nodeset *nodes)
{
	for (size_t i = 0; i < jobs->count; i++) {
		struct job *job = &jobs->list[i];

		if (!is_on(job, nodes) || json_can_name(job->path))
			continue;
		job->stays = true;
		for (size_t k = 0; k < i; k++)
			jobs->list[k].stays |= is_below(job->path, jobs->list[k].path);
	}
}

/* Others in the place of those that go: as many, with least on them. */
static int evict_job(struct app *app, const struct job *job, const cgm_nodeset *nodes,
		     double *used, struct wishes *wishes)
{
	cgm_nodeset kept, free_nodes, more, usable;
	char list[256];

	if (!is_on(job, nodes) || job->stays) {
		if (is_on(job, nodes))
			leave_out(job, wishes);
		use_nodes(used, &job->mems, job->bytes);
		return 0;
	}
	set_minus(&kept, &job->mems, nodes);
	if (!cgm_nodeset_weight(&kept)) {
		cgm_nodeset_and(&usable, &job->above, &app->features.memory);
		set_minus(&free_nodes, &usable, nodes);
		more = least_used(&free_nodes, cgm_nodeset_weight(&job->mems), used, &kept);
		cgm_nodeset_or(&kept, &kept, &more);
	}
	if (!cgm_nodeset_weight(&kept))
		return fail(app, EXIT_REFUSED,
			    "%s: its parent has nodes %s only, all of which are to be left",
			    job->path, nodes_text(&job->above, list, sizeof(list)));
	use_nodes(used, &kept, job->bytes);
	return wish_add(app, wishes, job->path, &kept, NULL);
}

/* A parent that loses all its nodes lets those below it have others. */
static void look_up(struct jobs *jobs, size_t index, const struct wishes *wishes)
{
	struct job *job = &jobs->list[index];

	for (size_t i = 0; i < wishes->count; i++)
		if (is_below(job->path, wishes->list[i].cgroup))
			job->above = wishes->list[i].to;
}

int spec_evict(struct app *app, const cgm_nodeset *nodes, struct wishes *wishes)
{
	struct jobs jobs = { 0 };
	double *used = new_used(app);
	int code = used ? find_jobs(app, &jobs) : EXIT_FAILED;
	char list[256];

	if (!code && !cgm_nodeset_subset(nodes, &app->features.online))
		code = usage_error(app, "--evict: nodes here are %s",
				   nodes_text(&app->features.online, list, sizeof(list)));
	if (!code && cgm_nodeset_subset(&app->features.memory, nodes))
		code = usage_error(app, "--evict: no node would be left");
	mark_staying(&jobs, nodes);
	/* parents come before children, so what those above are to have is known */
	for (size_t i = 0; i < jobs.count && !code; i++) {
		look_up(&jobs, i, wishes);
		code = evict_job(app, &jobs.list[i], nodes, used, wishes);
	}
	free_jobs(&jobs);
	free(used);
	return code ? code : spec_left(app, nodes, wishes);
}

/* ---- balance ---- */

static double spread(const double *used, const cgm_nodeset *nodes)
{
	double least = -1, most = 0;

	for (int n = cgm_nodeset_next(nodes, -1); n >= 0; n = cgm_nodeset_next(nodes, n)) {
		least = least < 0 || used[n] < least ? used[n] : least;
		most = used[n] > most ? used[n] : most;
	}
	return most - (least < 0 ? 0 : least);
}

/*
 * The largest first, each to the nodes with least on them, as many as it has.
 * What others are below stays, and what stays is taken into account.
 */
int spec_balance(struct app *app, struct wishes *wishes)
{
	struct jobs jobs = { 0 };
	double *used = new_used(app), *now = new_used(app);
	int code = used && now ? find_jobs(app, &jobs) : EXIT_FAILED;

	if (!code && jobs.count)
		qsort(jobs.list, jobs.count, sizeof(*jobs.list), larger_first);
	for (size_t i = 0; i < jobs.count && !code; i++) {
		struct job *job = &jobs.list[i];
		cgm_nodeset usable, to;

		if (job->inner)
			continue;
		cgm_nodeset_and(&usable, &job->above, &app->features.memory);
		to = least_used(&usable, cgm_nodeset_weight(&job->mems), used, &job->mems);
		if (!cgm_nodeset_equal(&to, &job->mems) && !json_can_name(job->path)) {
			leave_out(job, wishes);
			to = job->mems;
		}
		use_nodes(now, &job->mems, job->bytes);
		use_nodes(used, &to, job->bytes);
		if (!cgm_nodeset_equal(&to, &job->mems))
			code = wish_add(app, wishes, job->path, &to, NULL);
	}
	/* not worth moving anything for a tenth */
	if (!code && used && now &&
	    spread(used, &app->features.memory) > 0.9 * spread(now, &app->features.memory)) {
		wishes_free(wishes);
		memset(wishes, 0, sizeof(*wishes));
	}
	free_jobs(&jobs);
	free(used);
	free(now);
	return code;
}
