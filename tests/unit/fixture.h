/* SPDX-License-Identifier: GPL-2.0 */
/* What tests hold of a machine that is a file tree, and let go of when they end. */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H

#include "tree.h"

struct fixture {
	struct tree tree;
	struct cgm_context *ctx;
	struct cgm_group *group;
	struct cgm_plan *plan;
	struct cgm_job *job;
};

/* A machine as tree_machine() makes it, at which nobody has looked. */
struct fixture *fixture_new(int engine);
/* Look at the machine, and at its cgroup /web. */
void fixture_open(struct fixture *f);
/* Plan to give that cgroup these nodes. */
void fixture_plan(struct fixture *f, const char *to);
/* A teardown: frees all that there is. */
int fixture_end(void **state);

void assert_file(const struct fixture *f, const char *path, const char *wanted);

#endif /* TEST_FIXTURE_H */
