// SPDX-License-Identifier: GPL-2.0
/* CPUs that go along with memory, and the threads that are pinned to them. */
#include "fixture.h"
#include "wrap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const uint64_t nothing[4];

#define WEB "sys/fs/cgroup/web/"
#define CPUS WEB "cpuset.cpus"

/* ---- arithmetic ---- */

static cgm_cpuset set_of(const char *list)
{
	cgm_cpuset set;

	assert_int_equal(cgm_nodeset_parse(list, &set), 0);
	return set;
}

static void assert_set(const cgm_cpuset *set, const char *wanted)
{
	char list[256];

	cgm_nodeset_format(set, list, sizeof(list));
	assert_string_equal(list, wanted);
}

static void keeps_the_place(void **state)
{
	static const struct {
		const char *from, *to, *mask, *out;
		int pinned;
	} cases[] = {
		{ "0-3", "4-7", "0", "4", 1 },
		{ "0-3", "4-7", "2-3", "6-7", 1 },
		{ "0-3", "4-7", "0,3", "4,7", 1 },
		{ "0-3", "4-7", "0-3", "4-7", 0 },
		/* CPUs outside the old ones do not count: the cpuset is wide. */
		{ "0-3", "4-7", "0-7", "4-7", 0 },
		{ "0-3", "4-7", "1,6", "5", 1 },
		{ "0-3", "4-7", "9", "4-7", 0 },
		/* Not in a row, and the other way round. */
		{ "0,2,4", "1,3,5", "2,4", "3,5", 1 },
		{ "4-7", "0-3", "7", "3", 1 },
		/* Overlapping sets of one size: every place is shifted. */
		{ "0-1", "1-2", "1", "2", 1 },
		{ "0-1", "1-2", "0", "1", 1 },
		/* Fewer: counted round, and what is in both stays. */
		{ "0-3", "4-5", "3", "5", 1 },
		{ "0-3", "4-5", "1,3", "5", 1 },
		{ "0-3", "2-3", "2", "2", 1 },
		{ "0-3", "2-3", "0", "2", 1 },
		{ "0-3", "7", "1-2", "7", 1 },
		/* More. */
		{ "0-1", "4-7", "1", "5", 1 },
		{ "1", "0-3", "1", "0-3", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cgm_cpuset from = set_of(cases[i].from), to = set_of(cases[i].to);
		cgm_cpuset mask = set_of(cases[i].mask), out;

		assert_int_equal(cgm_cpumap(&from, &to, &mask, &out), cases[i].pinned);
		assert_set(&out, cases[i].out);
		cgm_cpumap(&from, &to, &mask, &mask);
		assert_set(&mask, cases[i].out);
	}
}

/* There and back again: every thread is where it was. */
static void goes_back(void **state)
{
	cgm_cpuset from = set_of("0,3,5,64-70"), to = set_of("1,2,4,8-13,1023");

	(void)state;
	for (int bits = 1; bits < 1 << 10; bits++) {
		cgm_cpuset mask = { 0 }, there, back;
		int cpu = -1;

		for (int i = 0; i < 10; i++) {
			cpu = cgm_nodeset_next(&from, cpu);
			if (bits >> i & 1)
				cgm_nodeset_add(&mask, cpu);
		}
		assert_int_equal(cgm_cpumap(&from, &to, &mask, &there), bits != 1023);
		assert_int_equal(cgm_nodeset_weight(&there), cgm_nodeset_weight(&mask));
		assert_true(cgm_nodeset_subset(&there, &to));
		cgm_cpumap(&to, &from, &there, &back);
		assert_true(cgm_nodeset_equal(&back, &mask));
	}
}

/* ---- on a tree ---- */

static void thread(struct fixture *f, int tid, const char *cpus)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "Name:\tx\nTgid:\t100\nUid:\t0\t0\t0\t0\nCpus_allowed_list:\t%s\n", cpus);
	tree_write(&f->tree, text, "proc/%d/status", tid);
}

/* /web on CPUs 0-3 of eight, two a node, with four threads. */
static int setup(void **state)
{
	struct fixture *f = fixture_new(0);

	for (int n = 0; n < 4; n++) {
		char list[16];

		snprintf(list, sizeof(list), "%d-%d\n", 2 * n, 2 * n + 1);
		tree_write(&f->tree, list, "sys/devices/system/node/node%d/cpulist", n);
	}
	tree_write(&f->tree, "0-7\n", "sys/fs/cgroup/cpuset.cpus.effective");
	tree_cgroup(&f->tree, "/web", "0-1", nothing);
	tree_write(&f->tree, "0-3\n", CPUS);
	tree_write(&f->tree, "0-3\n", WEB "cpuset.cpus.effective");
	tree_write(&f->tree, "100\n101\n102\n103\n", WEB "cgroup.threads");
	thread(f, 100, "0-3");
	thread(f, 101, "1");
	thread(f, 102, "2-3");
	fixture_open(f);
	*state = f;
	return 0;
}

static void assert_refused(struct fixture *f, const char *list, const char *words)
{
	cgm_cpuset to = set_of(list);
	struct cgm_cpumove *move;

	assert_int_equal(cgm_cpumove_new(f->group, &to, &move), -EINVAL);
	assert_null(move);
	assert_non_null(strstr(cgm_context_error(f->ctx), words));
	assert_file(f, CPUS, "0-3\n");
}

static struct cgm_cpumove *begin(struct fixture *f, const char *list)
{
	cgm_cpuset to = set_of(list);
	struct cgm_cpumove *move;

	assert_int_equal(cgm_cpumove_new(f->group, &to, &move), 0);
	return move;
}

static void knows_nodes(void **state)
{
	struct fixture *f = *state;
	cgm_nodeset nodes = set_of("1,3");
	cgm_cpuset cpus;

	assert_int_equal(cgm_nodes_cpus(f->ctx, &nodes, &cpus), 0);
	assert_set(&cpus, "2-3,6-7");
	nodes = set_of("9");
	assert_int_equal(cgm_nodes_cpus(f->ctx, &nodes, &cpus), -ENOENT);
	tree_write(&f->tree, "1020-1030\n", "sys/devices/system/node/node3/cpulist");
	nodes = set_of("3");
	assert_int_equal(cgm_nodes_cpus(f->ctx, &nodes, &cpus), -ERANGE);
}

static void lists_threads(void **state)
{
	struct cgm_cpumove_info info = { .size = sizeof(info) };
	struct cgm_pinned pinned = { .size = sizeof(pinned) };
	struct fixture *f = *state;
	struct cgm_cpumove *move = begin(f, "4-7");

	assert_int_equal(cgm_cpumove_info(move, &info), 0);
	assert_true(info.change && info.threads == 3 && info.pinned == 2 && !info.failed);
	assert_int_equal(cgm_cpumove_thread(move, 0, &pinned), 0);
	assert_int_equal(pinned.tid, 101);
	assert_int_equal(pinned.pid, 100);
	assert_set(&pinned.before, "1");
	assert_set(&pinned.after, "5");
	assert_int_equal(cgm_cpumove_thread(move, 1, &pinned), 0);
	assert_set(&pinned.after, "6-7");
	assert_int_equal(cgm_cpumove_thread(move, 2, &pinned), -ENOENT);
	assert_file(f, CPUS, "0-3\n");
	cgm_cpumove_free(move);
}

static void goes_in_steps(void **state)
{
	struct fixture *f = *state;
	struct cgm_cpumove *move = begin(f, "4-7");

	assert_int_equal(cgm_cpumove_widen(move), 0);
	assert_file(f, CPUS, "0-7");
	assert_int_equal(cgm_cpumove_finish(move), 0);
	assert_file(f, CPUS, "4-7");
	cgm_cpumove_free(move);
}

static void goes_back_when_told(void **state)
{
	struct fixture *f = *state;
	struct cgm_cpumove *move;

	tree_write(&f->tree, "\n", CPUS);
	move = begin(f, "4-7");
	assert_int_equal(cgm_cpumove_widen(move), 0);
	assert_file(f, CPUS, "0-7");
	assert_int_equal(cgm_cpumove_undo(move), 0);
	assert_file(f, CPUS, "\n");
	/* Once more is no harm. */
	assert_int_equal(cgm_cpumove_undo(move), 0);
	cgm_cpumove_free(move);
}

static void leaves_what_others_wrote(void **state)
{
	struct fixture *f = *state;
	struct cgm_cpumove *move = begin(f, "4-7");

	assert_int_equal(cgm_cpumove_widen(move), 0);
	tree_write(&f->tree, "2\n", CPUS);
	assert_int_equal(cgm_cpumove_finish(move), -ESTALE);
	assert_non_null(strstr(cgm_context_error(f->ctx),
			       "/web: somebody else has changed cpuset.cpus to 2"));
	assert_int_equal(cgm_cpumove_undo(move), -ESTALE);
	assert_file(f, CPUS, "2\n");
	cgm_cpumove_free(move);
}

static void does_nothing_without_a_change(void **state)
{
	struct cgm_cpumove_info info = { .size = sizeof(info) };
	struct fixture *f = *state;
	struct cgm_cpumove *move = begin(f, "0-3");

	cgm_cpumove_info(move, &info);
	assert_false(info.change);
	assert_int_equal(cgm_cpumove_widen(move), 0);
	assert_int_equal(cgm_cpumove_finish(move), 0);
	assert_file(f, CPUS, "0-3\n");
	cgm_cpumove_free(move);
}

static void is_taken_over(void **state)
{
	struct cgm_cpumove_info info = { .size = sizeof(info) };
	struct fixture *f = *state;
	struct cgm_cpumove *move = begin(f, "4-7");

	cgm_cpumove_info(move, &info);
	cgm_cpumove_widen(move);
	cgm_cpumove_free(move);
	assert_int_equal(cgm_cpumove_resume(f->group, &info, &move), 0);
	assert_int_equal(cgm_cpumove_undo(move), 0);
	assert_file(f, CPUS, "0-3");
	cgm_cpumove_free(move);
}

static struct {
	struct fixture *f;
	int next;	/* is another once the first was pinned */
	int tids[8];
	int count;
} pinning;

int __wrap_thread_pin(struct cgm_context *ctx, pid_t tid, const cgm_cpuset *cpus)
{
	(void)ctx;
	(void)cpus;
	if (!pinning.f)
		return 0;
	if (pinning.next)
		tree_start(&pinning.f->tree, pinning.next, 1001);
	pinning.next = 0;
	pinning.tids[pinning.count++] = tid;
	return 0;
}

/* A number that is another thread's by its turn. */
static void pins_nobody_else(void **state)
{
	struct fixture *f = *state;
	struct cgm_cpumove *move;

	thread(f, 103, "0");
	for (int tid = 101; tid < 104; tid++)
		tree_start(&f->tree, tid, 1000);
	move = begin(f, "4-7");
	assert_int_equal(cgm_cpumove_widen(move), 0);
	pinning.f = f;
	pinning.next = 102;
	assert_int_equal(cgm_cpumove_finish(move), 0);
	pinning.f = NULL;
	cgm_cpumove_free(move);
	assert_int_equal(pinning.count, 2);
	assert_int_equal(pinning.tids[0], 101);
	assert_int_equal(pinning.tids[1], 103);
}

/* ---- several at once ---- */

static struct cgm_group *child(struct fixture *f, const char *cpus, const char *tids)
{
	struct cgm_group *group;

	tree_cgroup(&f->tree, "/web/a", "0", nothing);
	tree_write(&f->tree, cpus, WEB "a/cpuset.cpus");
	tree_write(&f->tree, strcmp(cpus, "\n") ? cpus : "0-3\n",
		   WEB "a/cpuset.cpus.effective");
	tree_write(&f->tree, tids, WEB "a/cgroup.threads");
	assert_int_equal(cgm_group_open(f->ctx, "/web/a", &group), 0);
	return group;
}

static void assert_pinned(const struct cgm_cpumove *move, size_t index, int tid,
			  const char *before, const char *after)
{
	struct cgm_pinned pinned = { .size = sizeof(pinned) };

	assert_int_equal(cgm_cpumove_thread(move, index, &pinned), 0);
	assert_int_equal(pinned.tid, tid);
	assert_set(&pinned.before, before);
	assert_set(&pinned.after, after);
}

/* A child may have what its parent will have, and no more than that. */
static void changes_together(void **state)
{
	struct cgm_pinned pinned = { .size = sizeof(pinned) };
	struct fixture *f = *state;
	struct cgm_group *groups[] = { f->group, child(f, "\n", "200\n") };
	cgm_cpuset to[] = { set_of("4-7"), set_of("4-5") };
	struct cgm_cpumove *moves[2];

	thread(f, 200, "3");
	assert_int_equal(cgm_cpumove_new_many(groups, to, 2, moves), 0);
	assert_pinned(moves[0], 1, 102, "2-3", "6-7");
	assert_int_equal(cgm_cpumove_thread(moves[0], 2, &pinned), -ENOENT);
	assert_pinned(moves[1], 0, 200, "3", "5");
	for (int i = 0; i < 2; i++)
		cgm_cpumove_free(moves[i]);

	to[1] = set_of("2-3");
	assert_int_equal(cgm_cpumove_new_many(groups, to, 2, moves), -EINVAL);
	assert_null(moves[0]);
	assert_null(moves[1]);
	assert_non_null(strstr(cgm_context_error(f->ctx),
			       "/web/a: cannot have CPUs 2-3: /web above it has 4-7"));
	cgm_group_unref(groups[1]);
}

/* One between them that stays binds those below it. */
static void heeds_what_is_between(void **state)
{
	struct fixture *f = *state;
	struct cgm_group *middle = child(f, "4\n", ""), *groups[] = { f->group, NULL };
	cgm_cpuset to[] = { set_of("4-7"), set_of("4-5") };
	struct cgm_cpumove *moves[2];

	tree_cgroup(&f->tree, "/web/a/b", "0", nothing);
	tree_write(&f->tree, "\n", WEB "a/b/cpuset.cpus");
	tree_write(&f->tree, "4\n", WEB "a/b/cpuset.cpus.effective");
	assert_int_equal(cgm_group_open(f->ctx, "/web/a/b", &groups[1]), 0);
	assert_int_equal(cgm_cpumove_new_many(groups, to, 2, moves), -EINVAL);
	assert_non_null(strstr(cgm_context_error(f->ctx),
			       "/web/a/b: cannot have CPUs 4-5: /web/a above it has 4"));
	to[1] = set_of("4");
	tree_write(&f->tree, "\n", WEB "a/cpuset.cpus");
	assert_int_equal(cgm_cpumove_new_many(groups, to, 2, moves), 0);
	for (int i = 0; i < 2; i++)
		cgm_cpumove_free(moves[i]);
	cgm_group_unref(groups[1]);
	cgm_group_unref(middle);
}

/* ---- and back ---- */

struct memory {
	struct cgm_cpumove_info info;
	struct cgm_pinned threads[8];
	size_t count;
};

static void remember(const struct cgm_cpumove *move, struct memory *memory)
{
	memory->info.size = sizeof(memory->info);
	assert_int_equal(cgm_cpumove_info(move, &memory->info), 0);
	for (memory->count = 0; memory->count < 8; memory->count++) {
		memory->threads[memory->count].size = sizeof(memory->threads[0]);
		if (cgm_cpumove_keep(move, memory->count, &memory->threads[memory->count]))
			break;
	}
}

static struct cgm_cpumove *taken_over(struct fixture *f, const struct memory *memory)
{
	struct cgm_cpumove *move;

	assert_int_equal(cgm_cpumove_resume(f->group, &memory->info, &move), 0);
	for (size_t i = 0; i < memory->count; i++)
		assert_int_equal(cgm_cpumove_recall(move, &memory->threads[i]), 0);
	assert_int_equal(cgm_cpumove_look(move), 0);
	return move;
}

static bool is_done(const struct cgm_cpumove *move)
{
	struct cgm_cpumove_info info = { .size = sizeof(info) };

	assert_int_equal(cgm_cpumove_info(move, &info), 0);
	return info.done;
}

/* Two became one: only who was told of that knows it. */
static void turns_round(void **state)
{
	struct fixture *f = *state;
	struct memory memory = { 0 };
	struct cgm_cpumove *move;

	tree_write(&f->tree, "\n", CPUS);
	move = begin(f, "4-5");
	remember(move, &memory);
	assert_int_equal(memory.count, 2);
	assert_false(is_done(move));
	assert_int_equal(cgm_cpumove_widen(move), 0);
	assert_int_equal(cgm_cpumove_finish(move), 0);
	assert_file(f, CPUS, "4-5");
	cgm_cpumove_free(move);
	tree_write(&f->tree, "4-5\n", WEB "cpuset.cpus.effective");
	thread(f, 100, "4-5");
	thread(f, 101, "5");
	thread(f, 102, "4-5");
	thread(f, 103, "5");

	move = taken_over(f, &memory);
	assert_true(is_done(move));
	assert_int_equal(cgm_cpumove_turn(move), 0);
	assert_false(is_done(move));
	assert_pinned(move, 0, 101, "5", "1");
	assert_pinned(move, 1, 102, "4-5", "2-3");
	assert_pinned(move, 2, 103, "5", "1");
	assert_int_equal(cgm_cpumove_widen(move), 0);
	assert_file(f, CPUS, "0-5");
	assert_int_equal(cgm_cpumove_finish(move), 0);
	assert_file(f, CPUS, "\n");
	thread(f, 101, "1");
	assert_int_equal(cgm_cpumove_look(move), 0);
	assert_false(is_done(move));
	thread(f, 102, "2-3");
	assert_int_equal(cgm_cpumove_look(move), 0);
	assert_true(is_done(move));
	cgm_cpumove_free(move);
}

/* Who has pinned itself since goes to what stands for that. */
static void heeds_what_threads_want(void **state)
{
	struct fixture *f = *state;
	struct memory memory = { 0 };
	struct cgm_cpumove *move = begin(f, "4-7");

	remember(move, &memory);
	cgm_cpumove_free(move);
	thread(f, 101, "4");
	thread(f, 102, "2-3");
	memory.threads[1].start = 1;	/* another with its number */
	move = taken_over(f, &memory);
	assert_int_equal(cgm_cpumove_turn(move), 0);
	assert_pinned(move, 0, 101, "4", "0");
	assert_int_equal(cgm_cpumove_thread(move, 1, &memory.threads[7]), -ENOENT);
	cgm_cpumove_free(move);
}

/* One that asked for all old CPUs has those left of them that are new ones, too. */
static void knows_who_was_not_pinned(void **state)
{
	struct cgm_pinned pinned = { .size = sizeof(pinned) };
	struct fixture *f = *state;
	struct memory memory = { 0 };
	struct cgm_cpumove *move = begin(f, "2-5");

	remember(move, &memory);
	assert_int_equal(memory.count, 3);
	cgm_cpumove_free(move);
	tree_write(&f->tree, "0-5\n", CPUS);
	for (int tid = 101; tid < 104; tid++)
		thread(f, tid, "0-5");
	move = taken_over(f, &memory);
	assert_int_equal(cgm_cpumove_turn(move), 0);
	assert_int_equal(cgm_cpumove_thread(move, 0, &pinned), -ENOENT);
	cgm_cpumove_free(move);
	memory.count = 0;
	move = taken_over(f, &memory);
	assert_int_equal(cgm_cpumove_turn(move), 0);
	assert_pinned(move, 0, 100, "0-3", "0-1");
	cgm_cpumove_free(move);
}

static void refuses(void **state)
{
	struct fixture *f = *state;
	cgm_cpuset to = set_of("1");
	struct cgm_cpumove *move;
	struct cgm_group *root;

	assert_refused(f, "4-9", "/web: cannot have CPUs 4-9: / above it has 0-7");
	tree_write(&f->tree, "2\n", WEB "part/cpuset.cpus");
	assert_refused(f, "4-7", "/web/part: has CPUs of its own (2)");
	tree_write(&f->tree, "4\n", WEB "part/cpuset.cpus");
	tree_write(&f->tree, "root\n", WEB "cpuset.cpus.partition");
	assert_refused(f, "4-7", "/web: is the root of a partition");
	tree_write(&f->tree, "member\n", WEB "cpuset.cpus.partition");
	cgm_cpumove_free(begin(f, "4-7"));
	assert_refused(f, "", "/web: no CPU named");

	assert_int_equal(cgm_group_open(f->ctx, "/", &root), 0);
	assert_int_equal(cgm_cpumove_new(root, &to, &move), -EINVAL);
	cgm_group_unref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_place),
		cmocka_unit_test(goes_back),
		cmocka_unit_test_setup_teardown(knows_nodes, setup, fixture_end),
		cmocka_unit_test_setup_teardown(lists_threads, setup, fixture_end),
		cmocka_unit_test_setup_teardown(goes_in_steps, setup, fixture_end),
		cmocka_unit_test_setup_teardown(goes_back_when_told, setup, fixture_end),
		cmocka_unit_test_setup_teardown(leaves_what_others_wrote, setup, fixture_end),
		cmocka_unit_test_setup_teardown(does_nothing_without_a_change, setup,
						fixture_end),
		cmocka_unit_test_setup_teardown(is_taken_over, setup, fixture_end),
		cmocka_unit_test_setup_teardown(pins_nobody_else, setup, fixture_end),
		cmocka_unit_test_setup_teardown(changes_together, setup, fixture_end),
		cmocka_unit_test_setup_teardown(heeds_what_is_between, setup, fixture_end),
		cmocka_unit_test_setup_teardown(turns_round, setup, fixture_end),
		cmocka_unit_test_setup_teardown(heeds_what_threads_want, setup, fixture_end),
		cmocka_unit_test_setup_teardown(knows_who_was_not_pinned, setup, fixture_end),
		cmocka_unit_test_setup_teardown(refuses, setup, fixture_end),
	};

	return cmocka_run_group_tests_name("cpus", tests, NULL, NULL);
}
