// SPDX-License-Identifier: GPL-2.0
/* Page cache that nobody maps: dropped or left, with the test in the place of the kernel. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WEB "sys/fs/cgroup/web/"
#define RECLAIM WEB "memory.reclaim"
#define CACHE WEB "cpuset.mems.migrate.cache"
#define MEMS WEB "cpuset.mems"

/* Bytes of files by node, in MiB: all, and of it what the names say. */
struct files {
	int file[4];
	int shmem[4];
	int mapped[4];
	int dirty[4];
	int writeback[4];
};

static const struct files full = {
	.file = { 100, 60, 7 }, .shmem = { 20 }, .mapped = { 10, 4 }, .dirty = { 2 },
	.writeback = { 1, 1 },
};

static void write_line(char *text, size_t size, const char *name, const int mib[4])
{
	size_t len = strlen(text);

	snprintf(text + len, size - len, "%s N0=%llu N1=%llu N2=%llu N3=%llu\n", name,
		 mib[0] * MIB, mib[1] * MIB, mib[2] * MIB, mib[3] * MIB);
}

static void has(struct fixture *f, const struct files *files)
{
	static const int anon[4] = { 8 };
	char text[1024] = "";

	write_line(text, sizeof(text), "anon", anon);
	write_line(text, sizeof(text), "file", files->file);
	write_line(text, sizeof(text), "shmem", files->shmem);
	write_line(text, sizeof(text), "file_mapped", files->mapped);
	write_line(text, sizeof(text), "file_dirty", files->dirty);
	write_line(text, sizeof(text), "file_writeback", files->writeback);
	tree_write(&f->tree, text, WEB "memory.numa_stat");
}

static struct fixture *machine(int engine)
{
	static const uint64_t anon[4] = { 0 };
	struct fixture *f = fixture_new(engine);

	tree_cgroup(&f->tree, "/web", "0-1", anon);
	tree_write(&f->tree, "", RECLAIM);
	if (engine) {
		tree_write(&f->tree, "migrate_pending 0\n", WEB "cpuset.mems.stat");
		tree_write(&f->tree, "migrate_stopped 0\n", WEB "cpuset.mems.events");
		tree_write(&f->tree, "max\n", WEB "cpuset.mems.migrate.max");
		tree_write(&f->tree, "0\n", WEB "cpuset.mems.migrate.hold");
		tree_write(&f->tree, "", WEB "cpuset.mems.migrate.stop");
		tree_write(&f->tree, "", WEB "cpuset.mems.migrate.settle");
		tree_write(&f->tree, "move\n", CACHE);
	}
	has(f, &full);
	fixture_open(f);
	return f;
}

static int setup_engine(void **state)
{
	*state = machine(1);
	return 0;
}

static int setup_stock(void **state)
{
	*state = machine(0);
	return 0;
}

static void plan(struct fixture *f, enum cgm_action action, enum cgm_cache cache)
{
	struct cgm_move move = { .size = sizeof(move), .action = action,
				 .group = f->group, .cache = cache };

	assert_int_equal(cgm_nodeset_parse("2-3", &move.to), 0);
	assert_int_equal(cgm_plan_new(f->ctx, &f->plan), 0);
	assert_int_equal(cgm_plan_add(f->plan, &move), 0);
	assert_int_equal(cgm_plan_check(f->plan), 0);
}

static void start(struct fixture *f, enum cgm_cache cache)
{
	plan(f, CGM_ACTION_MEMS, cache);
	assert_int_equal(cgm_job_start(f->plan, NULL, &f->job), 0);
}

static enum cgm_state end(struct fixture *f)
{
	struct cgm_progress p = { .size = sizeof(p) };

	assert_int_equal(cgm_job_wait(f->job, 5000), 0);
	assert_int_equal(cgm_job_progress(f->job, &p), 0);
	return p.state;
}

static uint64_t total(const struct fixture *f, enum cgm_reason reason)
{
	return cgm_result_total(cgm_job_result(f->job), reason);
}

static void planned(struct fixture *f, uint64_t bytes, uint64_t cache_bytes)
{
	struct cgm_plan_item item = { .size = sizeof(item) };

	assert_int_equal(cgm_plan_item(f->plan, 0, &item), 0);
	assert_int_equal(item.bytes, bytes);
	assert_int_equal(item.cache_bytes, cache_bytes);
}

/* ---- dropped ---- */

/* 67 MiB on node 0, 55 MiB on node 1; node 2 is not left. */
static void what_is_clean_is_planned(void **state)
{
	struct fixture *f = *state;

	plan(f, CGM_ACTION_MEMS, CGM_CACHE_DROP);
	planned(f, (8 + 160 - 122) * MIB, 122 * MIB);
	assert_int_equal(cgm_plan_bytes(f->plan, 0, 0, 2), (108 - 67) * MIB);
	assert_int_equal(cgm_plan_bytes(f->plan, 0, 1, 3), (60 - 55) * MIB);
}

/* A bounded piece at a time, and never more than there was. */
static void asks_for_that_and_no_more(void **state)
{
	static const char * const pieces[] = {
		"33554432 swappiness=0", "33554432 swappiness=0", "33554432 swappiness=0",
		"27262976 swappiness=0",
	};
	struct fixture *f = *state;

	start(f, CGM_CACHE_DROP);
	assert_file(f, RECLAIM, "0 swappiness=0");
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		assert_int_equal(cgm_job_dispatch(f->job), 1);
		assert_file(f, RECLAIM, pieces[i]);
		assert_file(f, MEMS, "0-1");
		tree_write(&f->tree, "", RECLAIM);
	}
	assert_int_equal(end(f), CGM_STATE_DONE);
	assert_file(f, RECLAIM, "");
	assert_int_equal(total(f, CGM_DROPPED), 0);
}

static void what_has_gone_is_told(void **state)
{
	static const struct files dropped = {
		.file = { 33, 20, 5 }, .shmem = { 20 }, .mapped = { 10, 20 }, .dirty = { 3 },
	};
	struct fixture *f = *state;
	struct cgm_row row = { .size = sizeof(row) };
	uint64_t bytes[4] = { 0 };

	start(f, CGM_CACHE_DROP);
	assert_int_equal(cgm_job_dispatch(f->job), 1);
	has(f, &dropped);
	assert_int_equal(end(f), CGM_STATE_DONE);
	assert_file(f, RECLAIM, "33554432 swappiness=0");
	for (size_t i = 0; !cgm_result_row(cgm_job_result(f->job), i, &row); i++) {
		if (row.reason != CGM_DROPPED)
			continue;
		assert_int_equal(row.kind, CGM_KIND_FILE);
		assert_int_equal(row.to, -1);
		bytes[row.from] += row.bytes;
	}
	assert_int_equal(bytes[0], 67 * MIB);
	assert_int_equal(bytes[1], 40 * MIB);
	assert_int_equal(bytes[2], 2 * MIB);
	assert_int_equal(total(f, CGM_DROPPED), 109 * MIB);
	/* What is there still, no process having it: 33 and 20 MiB. */
	assert_int_equal(total(f, CGM_SKIP_UNMAPPED), 53 * MIB);
}

static void next_to_nothing_is_not_asked_for(void **state)
{
	static const struct files little = { .file = { 5 }, .mapped = { 5 } };
	struct fixture *f = *state;

	has(f, &little);
	start(f, CGM_CACHE_DROP);
	assert_int_equal(end(f), CGM_STATE_DONE);
	assert_file(f, RECLAIM, "0 swappiness=0");
}

static void stopped_before_anything_changed(void **state)
{
	struct fixture *f = *state;

	start(f, CGM_CACHE_DROP);
	assert_int_equal(cgm_job_dispatch(f->job), 1);
	assert_int_equal(cgm_job_cancel(f->job), 0);
	assert_int_equal(end(f), CGM_STATE_CANCELLED);
	assert_file(f, MEMS, "0-1");
	assert_int_equal(total(f, CGM_LEFT), 168 * MIB);
	assert_non_null(strstr(cgm_result_note(cgm_job_result(f->job), 0),
			       "nothing else was changed"));
}

static void waits_and_goes_on(void **state)
{
	struct fixture *f = *state;
	struct cgm_progress p = { .size = sizeof(p) };

	start(f, CGM_CACHE_DROP);
	assert_int_equal(cgm_job_hold(f->job, 1), 0);
	assert_int_equal(cgm_job_set_rate(f->job, MIB), 0);
	assert_int_equal(cgm_job_wait(f->job, 10), -ETIMEDOUT);
	assert_file(f, RECLAIM, "0 swappiness=0");
	assert_int_equal(cgm_job_progress(f->job, &p), 0);
	assert_true(p.held);
	assert_int_equal(cgm_job_hold(f->job, 0), 0);
	assert_int_equal(cgm_job_set_rate(f->job, 0), 0);
	assert_int_equal(end(f), CGM_STATE_DONE);
}

static void freed_meanwhile(void **state)
{
	struct fixture *f = *state;

	start(f, CGM_CACHE_DROP);
	assert_int_equal(cgm_job_dispatch(f->job), 1);
	cgm_job_free(f->job);
	f->job = NULL;
	assert_file(f, MEMS, "0-1");
}

/* The move fails as it would have without. */
static void cannot_start_afterwards(void **state)
{
	struct fixture *f = *state;
	char path[256];

	start(f, CGM_CACHE_DROP);
	snprintf(path, sizeof(path), "%s/" WEB "cpuset.mems.stat", f->tree.dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(end(f), CGM_STATE_FAILED);
	assert_non_null(strstr(cgm_result_note(cgm_job_result(f->job), 0),
			       "cpuset.mems.stat: cannot read"));
	assert_file(f, MEMS, "0-1");
}

static void refused(struct fixture *f, enum cgm_cache cache, const char *words)
{
	plan(f, CGM_ACTION_MEMS, cache);
	assert_non_null(cgm_plan_refusal(f->plan, CGM_JOB_FORCE));
	assert_non_null(strstr(cgm_plan_refusal(f->plan, CGM_JOB_FORCE), words));
	assert_int_equal(cgm_job_start(f->plan, NULL, &f->job), -ECANCELED);
	assert_file(f, MEMS, "0-1");
}

static void lacks(struct fixture *f, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/" WEB "%s", f->tree.dir, name);
	assert_int_equal(unlink(path), 0);
}

static void no_controller(void **state)
{
	lacks(*state, "memory.numa_stat");
	lacks(*state, "memory.reclaim");
	refused(*state, CGM_CACHE_DROP, "lacks \"memory\"");
}

static void no_reclaim(void **state)
{
	lacks(*state, "memory.reclaim");
	refused(*state, CGM_CACHE_DROP, "this kernel has no memory.reclaim");
}

static void other_actions_have_no_cache(void **state)
{
	struct fixture *f = *state;
	pid_t pid = 1;
	struct cgm_move move = { .size = sizeof(move), .action = CGM_ACTION_ATTACH,
				 .group = f->group, .pids = &pid, .pid_count = 1,
				 .cache = CGM_CACHE_LEAVE };

	assert_int_equal(cgm_plan_new(f->ctx, &f->plan), 0);
	assert_int_equal(cgm_plan_add(f->plan, &move), -EINVAL);
	move.action = CGM_ACTION_MEMS;
	move.cache = CGM_CACHE_LEAVE + 1;
	assert_int_equal(cgm_plan_add(f->plan, &move), -EINVAL);
}

/* ---- left ---- */

static void engine_is_told_for_a_moment(void **state)
{
	struct fixture *f = *state;
	struct cgm_activity now = { .size = sizeof(now) };

	start(f, CGM_CACHE_LEAVE);
	planned(f, (8 + 160 - 90 - 56) * MIB, (90 + 56) * MIB);
	assert_file(f, MEMS, "2-3");
	assert_file(f, CACHE, "move");
	assert_int_equal(end(f), CGM_STATE_DONE);

	tree_write(&f->tree, "leave\n", CACHE);
	assert_int_equal(cgm_group_activity(f->group, &now), 0);
	assert_true(now.leave_cache);
}

static void what_was_told_before_stays(void **state)
{
	struct fixture *f = *state;

	tree_write(&f->tree, "leave\n", CACHE);
	start(f, CGM_CACHE_LEAVE);
	assert_file(f, MEMS, "2-3");
	assert_file(f, CACHE, "leave\n");
}

static void engine_that_cannot(void **state)
{
	lacks(*state, "cpuset.mems.migrate.cache");
	refused(*state, CGM_CACHE_LEAVE, "this kernel has no cpuset.mems.migrate.cache");
}

static void stock_leaves_it_anyhow(void **state)
{
	struct fixture *f = *state;

	start(f, CGM_CACHE_LEAVE);
	planned(f, (8 + 160 - 90 - 56) * MIB, (90 + 56) * MIB);
	assert_int_equal(end(f), CGM_STATE_DONE);
	assert_file(f, MEMS, "2-3");
	assert_int_equal(total(f, CGM_SKIP_UNMAPPED), 160 * MIB);
}

static void a_settle_leaves_it_too(void **state)
{
	static const struct files strays = { .file = { 0, 0, 40 }, .mapped = { 0, 0, 10 } };
	struct fixture *f = *state;

	has(f, &strays);
	plan(f, CGM_ACTION_SETTLE, CGM_CACHE_LEAVE);
	planned(f, 10 * MIB, 30 * MIB);
	assert_int_equal(cgm_job_start(f->plan, NULL, &f->job), 0);
	assert_file(f, WEB "cpuset.mems.migrate.settle", "1");
	assert_file(f, CACHE, "move");
	assert_int_equal(end(f), CGM_STATE_DONE);
}

int main(void)
{
#define ENGINE(name) cmocka_unit_test_setup_teardown(name, setup_engine, fixture_end)
#define STOCK(name) cmocka_unit_test_setup_teardown(name, setup_stock, fixture_end)
	const struct CMUnitTest tests[] = {
		ENGINE(what_is_clean_is_planned),
		ENGINE(asks_for_that_and_no_more),
		STOCK(what_has_gone_is_told),
		ENGINE(next_to_nothing_is_not_asked_for),
		ENGINE(stopped_before_anything_changed),
		STOCK(stopped_before_anything_changed),
		ENGINE(waits_and_goes_on),
		ENGINE(freed_meanwhile),
		ENGINE(cannot_start_afterwards),
		ENGINE(no_controller),
		STOCK(no_reclaim),
		ENGINE(other_actions_have_no_cache),
		ENGINE(engine_is_told_for_a_moment),
		ENGINE(what_was_told_before_stays),
		ENGINE(engine_that_cannot),
		STOCK(stock_leaves_it_anyhow),
		ENGINE(a_settle_leaves_it_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
