// SPDX-License-Identifier: GPL-2.0
/* What tests hold of a machine that is a file tree, and let go of when they end. */
#include "fixture.h"

#include <stdlib.h>

struct fixture *fixture_new(int engine)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	tree_make(&f->tree);
	tree_machine(&f->tree, engine);
	return f;
}

void fixture_open(struct fixture *f)
{
	f->ctx = tree_context(&f->tree);
	assert_int_equal(cgm_group_open(f->ctx, "/web", &f->group), 0);
}

void fixture_plan(struct fixture *f, const char *to)
{
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_MEMS,
				 .group = f->group };

	assert_int_equal(cgm_nodeset_parse(to, &move.to), 0);
	assert_int_equal(cgm_plan_new(f->ctx, &f->plan), 0);
	assert_int_equal(cgm_plan_add(f->plan, &move), 0);
}

int fixture_end(void **state)
{
	struct fixture *f = *state;

	cgm_job_free(f->job);
	cgm_plan_free(f->plan);
	cgm_group_unref(f->group);
	cgm_context_free(f->ctx);
	tree_remove(&f->tree);
	free(f);
	return 0;
}

void assert_file(const struct fixture *f, const char *path, const char *wanted)
{
	char *text = tree_read(&f->tree, path);

	assert_string_equal(text, wanted);
	free(text);
}
