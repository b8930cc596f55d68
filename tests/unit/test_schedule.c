// SPDX-License-Identifier: GPL-2.0
/*
 * Orders of moves: thousands of random machines, on each of which a model of the
 * kernel carries the steps out and looks for a cpuset without a valid mask, memory
 * outside the old and new nodes, and nodes that are asked for more than they have.
 */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schedule.h"

#define GROUPS_MAX 10
#define NODES_MAX 6
#define KINDS 2
#define RESOURCES (KINDS * NODES_MAX)
#define HUGE_SIZE (2 * MIB)
#define LEAST (4 * MIB)

/* A machine, and what is wanted of it. */
struct machine {
	struct schedule s;
	struct sched_group groups[GROUPS_MAX];
	uint64_t bytes[GROUPS_MAX][RESOURCES];
	int64_t room[RESOURCES];
	uint64_t least[KINDS];
};

static uint32_t seed;

static uint32_t dice(uint32_t sides)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)seed * sides) >> 32);
}

/* The first node of a set stands for the nearest. */
static int first_node(void *data, const cgm_nodeset *set, int node)
{
	(void)data;
	(void)node;
	return cgm_nodeset_next(set, -1);
}

static cgm_nodeset some_of(const cgm_nodeset *set)
{
	cgm_nodeset out;

	do {
		cgm_nodeset_clear(&out);
		for (int n = cgm_nodeset_next(set, -1); n >= 0; n = cgm_nodeset_next(set, n))
			if (dice(2))
				cgm_nodeset_add(&out, n);
	} while (!cgm_nodeset_weight(&out) && cgm_nodeset_weight(set));
	return out;
}

static cgm_nodeset all_nodes(const struct machine *m)
{
	cgm_nodeset out;

	cgm_nodeset_clear(&out);
	for (int n = 0; n < m->s.nodes; n++)
		cgm_nodeset_add(&out, n);
	return out;
}

/* ---- the model of the kernel ---- */

static void effective(const struct machine *m, const cgm_nodeset *masks, cgm_nodeset *out)
{
	for (size_t g = 0; g < m->s.count; g++) {
		int p = m->groups[g].parent;
		cgm_nodeset above = p < 0 ? m->groups[g].outer : out[p];

		cgm_nodeset_and(&out[g], &masks[g], &above);
		if (!cgm_nodeset_weight(&out[g]))
			out[g] = above;
	}
}

/* Move memory as the kernel does when nodes in force change. Room may end below 0. */
static void migrate(struct machine *m, size_t g, const cgm_nodeset *from,
		    const cgm_nodeset *to)
{
	uint64_t now[RESOURCES] = { 0 };
	int nodes = m->s.nodes;

	if (cgm_nodeset_equal(from, to))
		return;
	for (int r = 0; r < m->s.kinds * nodes; r++) {
		int dest = cgm_nodemap(from, to, r % nodes);

		if (dest == CGM_NODE_NEAREST)
			dest = first_node(NULL, to, 0);
		now[r - r % nodes + dest] += m->bytes[g][r];
		m->room[r] += m->bytes[g][r];
		m->room[r - r % nodes + dest] -= m->bytes[g][r];
	}
	memcpy(m->bytes[g], now, sizeof(now));
}

static void write_mask(struct machine *m, cgm_nodeset *masks, size_t g,
		       const cgm_nodeset *mask)
{
	cgm_nodeset before[GROUPS_MAX], after[GROUPS_MAX];

	effective(m, masks, before);
	masks[g] = *mask;
	effective(m, masks, after);
	for (size_t i = 0; i < m->s.count; i++)
		migrate(m, i, &before[i], &after[i]);
}

static void assert_valid(const struct machine *m, const cgm_nodeset *masks)
{
	cgm_nodeset now[GROUPS_MAX], both;

	effective(m, masks, now);
	for (size_t g = 0; g < m->s.count; g++) {
		int p = m->groups[g].parent;
		const cgm_nodeset *above = p < 0 ? &m->groups[g].outer : &now[p];

		if (m->s.version == 1)
			assert_true(cgm_nodeset_weight(&masks[g]) &&
				    cgm_nodeset_subset(&masks[g], above));
		else if (cgm_nodeset_weight(&masks[g])) {
			cgm_nodeset_and(&both, &masks[g], above);
			assert_true(cgm_nodeset_weight(&both));
		}
	}
}

/* No memory is allowed anywhere but on old and new nodes, and where a plan says. */
static void assert_inside(const struct machine *m, const cgm_nodeset *masks,
			  const cgm_nodeset *bounces)
{
	cgm_nodeset now[GROUPS_MAX], may;

	effective(m, masks, now);
	for (size_t g = 0; g < m->s.count; g++) {
		cgm_nodeset_or(&may, &m->groups[g].before, &m->groups[g].after);
		cgm_nodeset_or(&may, &may, &bounces[g]);
		assert_true(cgm_nodeset_subset(&now[g], &may));
	}
}

/* No node has less than nothing, but for one that had so from the start. */
static void assert_room(const struct machine *m, const int64_t *start)
{
	for (int r = 0; r < m->s.kinds * m->s.nodes; r++)
		assert_true(m->room[r] >= 0 || m->room[r] >= start[r]);
}

struct seen {
	unsigned int done, together, bounced, no_room, stuck, invalid, empty, undone, nested;
};

/* Carry the steps out, looking at every state on the way. */
static void carry_out(struct machine *m, const struct sched_step *steps, size_t count,
		      struct seen *seen)
{
	cgm_nodeset masks[GROUPS_MAX], bounces[GROUPS_MAX];
	int64_t start[RESOURCES];
	int round = 0;

	memcpy(start, m->room, sizeof(start));
	memset(bounces, 0, sizeof(bounces));
	for (size_t g = 0; g < m->s.count; g++)
		masks[g] = m->groups[g].now;
	for (size_t i = 0; i < count; i++) {
		const struct sched_step *step = &steps[i];

		assert_true(step->round >= round);
		if (step->round != round)
			assert_room(m, start);
		else if (step->kind == CGM_STEP_MOVE)
			seen->together++;
		round = step->round;
		assert_true(cgm_nodeset_equal(&masks[step->group], &step->from));
		if (step->kind == CGM_STEP_BOUNCE) {
			seen->bounced++;
			bounces[step->group] = step->to;
		}
		seen->nested += step->kind == CGM_STEP_NARROW;
		write_mask(m, masks, step->group, &step->to);
		assert_valid(m, masks);
		assert_inside(m, masks, bounces);
	}
	assert_room(m, start);
	for (size_t g = 0; g < m->s.count; g++) {
		assert_true(cgm_nodeset_equal(&masks[g], &m->groups[g].wanted));
		assert_memory_equal(m->bytes[g], m->groups[g].bytes, sizeof(m->bytes[g]));
	}
}

/* ---- random machines ---- */

static void random_masks(struct machine *m, size_t g)
{
	struct sched_group *group = &m->groups[g];
	int p = group->parent;
	cgm_nodeset now = p < 0 ? group->outer : m->groups[p].before;
	cgm_nodeset wanted = p < 0 ? group->outer : m->groups[p].after;
	bool inherit = m->s.version == 2;

	group->before = some_of(&now);
	group->after = dice(4) ? some_of(&wanted) : group->before;
	group->now = group->before;
	group->wanted = group->after;
	if (inherit && !dice(6)) {
		group->before = now;
		cgm_nodeset_clear(&group->now);
	}
	if (inherit && !dice(6)) {
		group->after = wanted;
		cgm_nodeset_clear(&group->wanted);
	}
	if (cgm_nodeset_weight(&group->now) && inherit && !dice(6)) /* hidden ones */
		cgm_nodeset_add(&group->now, dice(m->s.nodes));
	if (!dice(20))			/* nonsense is refused */
		group->wanted = some_of(&group->now);
}

static void random_memory(struct machine *m, size_t g)
{
	int nodes = m->s.nodes;

	for (int n = 0; n < nodes; n++) {
		if (cgm_nodeset_has(&m->groups[g].before, n) && dice(4))
			m->bytes[g][n] = (1 + dice(64)) * MIB;
		if (cgm_nodeset_has(&m->groups[g].before, n) && !dice(6))
			m->bytes[g][nodes + n] = dice(4) * HUGE_SIZE;
		if (!dice(40))		/* a stray */
			m->bytes[g][n] += MIB;
	}
}

static cgm_nodeset one_of(const struct machine *m)
{
	cgm_nodeset out;

	cgm_nodeset_clear(&out);
	cgm_nodeset_add(&out, dice(m->s.nodes));
	return out;
}

/* Jobs on one node each that change places, hardly any room but on one node. */
static void exchange(struct machine *m)
{
	for (size_t g = 0; g < m->s.count; g++) {
		struct sched_group *group = &m->groups[g];

		group->parent = -1;
		group->now = one_of(m);
		group->wanted = one_of(m);
		memset(m->bytes[g], 0, sizeof(m->bytes[g]));
		m->bytes[g][cgm_nodeset_next(&group->now, -1)] = (40 + dice(9)) * MIB;
	}
	for (int n = 0; n < m->s.nodes; n++)
		m->room[n] = dice(3) * 3 * MIB;
	m->room[dice(m->s.nodes)] = 60 * MIB;
}

static void random_machine(struct machine *m)
{
	uint32_t tight = dice(3);

	memset(m, 0, sizeof(*m));
	m->s.version = 1 + dice(2);
	m->s.nodes = 2 + dice(NODES_MAX - 1);
	m->s.kinds = KINDS;
	m->s.count = 1 + dice(GROUPS_MAX);
	m->s.groups = m->groups;
	m->s.room = m->room;
	m->s.least = m->least;
	m->s.memory = all_nodes(m);
	m->s.nearest = first_node;
	m->least[0] = LEAST;
	m->least[1] = HUGE_SIZE;
	for (size_t g = 0; g < m->s.count; g++) {
		/* the one before, one above that, or none: parents come first */
		int parent = g ? (int)g - 1 : -1;

		for (uint32_t up = dice(4); up && parent >= 0; up--)
			parent = m->groups[parent].parent;
		m->groups[g].parent = parent;
		m->groups[g].outer = all_nodes(m);
		m->groups[g].bytes = m->bytes[g];
		random_masks(m, g);
		random_memory(m, g);
	}
	for (int r = 0; r < m->s.kinds * m->s.nodes; r++)
		m->room[r] = r < m->s.nodes ? dice(tight == 0 ? 8 : tight == 1 ? 40 : 400) * MIB :
			     dice(12) * HUGE_SIZE;
	if (!dice(3))
		exchange(m);
}

/* The same machine with memory of its own, for the model. */
static void copy_machine(struct machine *to, const struct machine *from)
{
	*to = *from;
	to->s.groups = to->groups;
	to->s.room = to->room;
	to->s.least = to->least;
	to->s.steps = NULL;
	to->s.step_count = 0;
	for (size_t g = 0; g < to->s.count; g++)
		to->groups[g].bytes = to->bytes[g];
}

/* ---- one machine ---- */

/* When the end does not fit: is that so? */
static void assert_no_room(const struct machine *start, const struct schedule *s)
{
	struct machine m;

	copy_machine(&m, start);
	for (size_t g = 0; g < m.s.count; g++)
		migrate(&m, g, &s->groups[g].before, &s->groups[g].after);
	assert_true(m.room[s->bad_resource] < 0);
	assert_int_equal(s->missing, -m.room[s->bad_resource]);
}

static bool keeps_order(const struct machine *m)
{
	for (size_t g = 0; g < m->s.count; g++) {
		const struct sched_group *group = &m->groups[g];

		if (group->out_of_place ||
		    cgm_nodeset_weight(&group->before) != cgm_nodeset_weight(&group->after))
			return false;
	}
	return true;
}

static bool has_strays(const struct machine *m)
{
	for (size_t g = 0; g < m->s.count; g++)
		for (int r = 0; r < m->s.kinds * m->s.nodes; r++)
			if (m->bytes[g][r] &&
			    !cgm_nodeset_has(&m->groups[g].before, r % m->s.nodes))
				return true;
	return false;
}

/* Back from the end, with the same rules; memory lies as it did, if nothing folded. */
static void undo(const struct machine *start, const struct machine *end, bool exact,
		 struct seen *seen)
{
	struct machine plan, model;

	copy_machine(&plan, end);
	for (size_t g = 0; g < plan.s.count; g++) {
		plan.groups[g].now = start->groups[g].wanted;
		plan.groups[g].wanted = start->groups[g].now;
		plan.groups[g].bounced = false;
	}
	copy_machine(&model, &plan);
	if (schedule_make(&plan.s) == SCHED_OK) {
		for (size_t g = 0; g < plan.s.count; g++)
			model.groups[g] = plan.groups[g];
		carry_out(&model, plan.s.steps, plan.s.step_count, seen);
		exact &= keeps_order(&plan);
		for (size_t g = 0; exact && g < plan.s.count; g++)
			assert_memory_equal(model.bytes[g], start->bytes[g],
					    sizeof(model.bytes[g]));
		seen->undone += exact;
	}
	free(plan.s.steps);
}

static void try_machine(struct seen *seen)
{
	struct machine start, plan, model;

	random_machine(&start);
	copy_machine(&plan, &start);
	copy_machine(&model, &start);
	switch (schedule_make(&plan.s)) {
	case SCHED_OK:
		seen->done++;
		for (size_t g = 0; g < plan.s.count; g++)
			model.groups[g] = plan.groups[g];
		carry_out(&model, plan.s.steps, plan.s.step_count, seen);
		memcpy(start.groups, plan.groups, sizeof(start.groups));
		undo(&start, &model, keeps_order(&plan) && !has_strays(&start), seen);
		break;
	case SCHED_NO_ROOM:
		seen->no_room++;
		assert_no_room(&start, &plan.s);
		break;
	case SCHED_STUCK:
		seen->stuck++;
		assert_true(plan.s.missing > 0 && plan.s.missing != UINT64_MAX);
		break;
	case SCHED_INVALID:
		seen->invalid++;
		break;
	case SCHED_EMPTY:
		seen->empty++;
		break;
	default:
		fail_msg("out of memory");
	}
	free(plan.s.steps);
}

static void random_machines(void **state)
{
	struct seen seen = { 0 };
	const char *more = getenv("SCHEDULE_MACHINES");
	unsigned long machines = more ? strtoul(more, NULL, 10) : 4000;

	(void)state;
	for (unsigned long i = 0; i < machines; i++) {
		seed = i * 2654435761u + 1;
		try_machine(&seen);
	}
	print_message("done %u together %u bounced %u nested %u undone %u no_room %u stuck %u invalid %u empty %u\n",
		      seen.done, seen.together, seen.bounced, seen.nested, seen.undone,
		      seen.no_room, seen.stuck, seen.invalid, seen.empty);
	/* every case was there, so the test is about something */
	assert_true(seen.done > machines / 5 && seen.undone > machines / 100);
	assert_true(seen.together && seen.bounced && seen.nested);
	assert_true(seen.no_room && seen.stuck && seen.invalid && seen.empty);
}

/* ---- machines that are thought out ---- */

static void make_machine(struct machine *m, int nodes, size_t count)
{
	memset(m, 0, sizeof(*m));
	m->s.version = 2;
	m->s.nodes = nodes;
	m->s.kinds = 1;
	m->s.count = count;
	m->s.groups = m->groups;
	m->s.room = m->room;
	m->s.least = m->least;
	m->s.memory = all_nodes(m);
	m->s.nearest = first_node;
	m->least[0] = LEAST;
	for (size_t g = 0; g < count; g++) {
		m->groups[g].parent = -1;
		m->groups[g].outer = m->s.memory;
		m->groups[g].bytes = m->bytes[g];
	}
}

static void set_group(struct machine *m, size_t g, const char *now, const char *wanted,
		      int node, uint64_t bytes)
{
	assert_int_equal(cgm_nodeset_parse(now, &m->groups[g].now), 0);
	assert_int_equal(cgm_nodeset_parse(wanted, &m->groups[g].wanted), 0);
	m->bytes[g][node] = bytes;
}

static void assert_step(const struct machine *m, size_t index, enum cgm_step_kind kind,
			int round, size_t group, const char *to)
{
	const struct sched_step *step = &m->s.steps[index];
	char text[64];

	assert_true(index < m->s.step_count);
	assert_int_equal(step->kind, kind);
	assert_int_equal(step->round, round);
	assert_int_equal(step->group, group);
	cgm_nodeset_format(&step->to, text, sizeof(text));
	assert_string_equal(text, to);
}

/* Two jobs that exchange full nodes, with a little room to begin with. */
static void swap_with_a_little_room(void **state)
{
	struct machine m;

	(void)state;
	make_machine(&m, 2, 2);
	set_group(&m, 0, "0", "1", 0, 100 * MIB);
	set_group(&m, 1, "1", "0", 1, 90 * MIB);
	m.room[1] = 20 * MIB;
	assert_int_equal(schedule_make(&m.s), SCHED_OK);
	assert_int_equal(m.s.step_count, 2);
	assert_step(&m, 0, CGM_STEP_MOVE, m.s.steps[1].round, 0, "1");
	assert_step(&m, 1, CGM_STEP_MOVE, m.s.steps[0].round, 1, "0");
	free(m.s.steps);
}

/* With none, the smaller one goes out of the way. */
static void swap_by_way_of_a_third(void **state)
{
	struct machine m;

	(void)state;
	make_machine(&m, 3, 2);
	set_group(&m, 0, "0", "1", 0, 90 * MIB);
	set_group(&m, 1, "1", "0", 1, 90 * MIB);
	m.room[2] = 89 * MIB;
	assert_int_equal(schedule_make(&m.s), SCHED_STUCK);
	assert_int_equal(m.s.missing, 90 * MIB);
	assert_int_equal(m.s.step_count, 0);

	make_machine(&m, 3, 2);
	set_group(&m, 0, "0", "1", 0, 90 * MIB);
	set_group(&m, 1, "1", "0", 1, 90 * MIB);
	m.room[2] = 90 * MIB;
	assert_int_equal(schedule_make(&m.s), SCHED_OK);
	assert_int_equal(m.s.step_count, 3);
	assert_int_equal(m.s.steps[0].kind, CGM_STEP_BOUNCE);
	assert_int_equal(m.s.steps[2].group, m.s.steps[0].group);
	free(m.s.steps);
}

static void three_in_a_ring(void **state)
{
	struct machine m;

	(void)state;
	make_machine(&m, 3, 3);
	set_group(&m, 0, "0", "1", 0, 64 * MIB);
	set_group(&m, 1, "1", "2", 1, 64 * MIB);
	set_group(&m, 2, "2", "0", 2, 64 * MIB);
	m.room[2] = 4 * MIB;
	assert_int_equal(schedule_make(&m.s), SCHED_OK);
	assert_int_equal(m.s.step_count, 3);
	assert_int_equal(m.s.steps[0].round, m.s.steps[2].round);
	free(m.s.steps);
}

/* One after the other where the first makes room for the second. */
static void a_chain_is_made_in_order(void **state)
{
	struct machine m;

	(void)state;
	make_machine(&m, 3, 2);
	set_group(&m, 0, "0", "1", 0, 50 * MIB);
	set_group(&m, 1, "1", "2", 1, 40 * MIB);
	m.room[1] = 10 * MIB;
	m.room[2] = 40 * MIB;
	assert_int_equal(schedule_make(&m.s), SCHED_OK);
	assert_int_equal(m.s.step_count, 2);
	assert_int_equal(m.s.steps[0].group, 1);
	assert_true(m.s.steps[1].round > m.s.steps[0].round);
	free(m.s.steps);
}

/* Parents are widened before their children move and narrowed after. */
static void a_tree(void **state)
{
	struct machine m;

	(void)state;
	make_machine(&m, 4, 3);
	m.groups[1].parent = 0;
	m.groups[2].parent = 0;
	set_group(&m, 0, "0-1", "2-3", 0, MIB);
	set_group(&m, 1, "0", "2", 0, 30 * MIB);
	set_group(&m, 2, "", "3", 1, 10 * MIB);
	for (int n = 0; n < 4; n++)
		m.room[n] = 100 * MIB;
	assert_int_equal(schedule_make(&m.s), SCHED_OK);
	assert_int_equal(m.s.step_count, 5);
	assert_step(&m, 0, CGM_STEP_PIN, 1, 2, "0-1");
	assert_step(&m, 1, CGM_STEP_WIDEN, 2, 0, "0-3");
	assert_step(&m, 2, CGM_STEP_MOVE, 3, 1, "2");
	assert_step(&m, 3, CGM_STEP_MOVE, 4, 2, "3");
	assert_step(&m, 4, CGM_STEP_NARROW, 5, 0, "2-3");
	free(m.s.steps);
}

/* Pools of huge pages have room of their own. */
static void huge_pages(void **state)
{
	struct machine m;

	(void)state;
	make_machine(&m, 2, 1);
	m.s.kinds = 2;
	m.least[1] = HUGE_SIZE;
	set_group(&m, 0, "0", "1", 2, 0);
	m.bytes[0][2] = 4 * HUGE_SIZE;
	m.room[1] = 500 * MIB;
	m.room[3] = 3 * HUGE_SIZE;
	assert_int_equal(schedule_make(&m.s), SCHED_NO_ROOM);
	assert_int_equal(m.s.bad_resource, 3);
	assert_int_equal(m.s.missing, HUGE_SIZE);
}

/* ---- of real cgroups ---- */

/* Its files go as a cgroup's do; the other is not told under its name. */
static void removed_before_it_is_made(void **state)
{
	static const uint64_t anon[4] = { 4 * MIB };
	static const char *const files[] = { "cpuset.mems", "cpuset.mems.effective",
					     "cgroup.procs", "memory.numa_stat" };
	struct fixture *f = fixture_new(1);
	struct cgm_schedule_target target = { .size = sizeof(target) };
	struct cgm_schedule *schedule;
	struct cgm_group *db;
	cgm_nodeset to;
	char path[128];

	*state = f;
	tree_cgroup(&f->tree, "/web", "0", anon);
	tree_cgroup(&f->tree, "/db", "1", anon);
	fixture_open(f);
	assert_int_equal(cgm_group_open(f->ctx, "/db", &db), 0);
	assert_int_equal(cgm_schedule_new(f->ctx, &schedule), 0);
	assert_int_equal(cgm_nodeset_parse("2", &to), 0);
	assert_int_equal(cgm_schedule_add(schedule, f->group, &to), 0);
	assert_int_equal(cgm_schedule_add(schedule, db, &to), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/sys/fs/cgroup/db/%s", f->tree.dir, files[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(cgm_schedule_make(schedule), -ENOENT);
	assert_string_equal(cgm_context_error(f->ctx), "/db: was removed");
	assert_int_equal(cgm_schedule_target(schedule, 1, &target), -EINVAL);
	cgm_schedule_free(schedule);
	cgm_group_unref(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(swap_with_a_little_room),
		cmocka_unit_test(swap_by_way_of_a_third),
		cmocka_unit_test(three_in_a_ring),
		cmocka_unit_test(a_chain_is_made_in_order),
		cmocka_unit_test(a_tree),
		cmocka_unit_test(huge_pages),
		cmocka_unit_test(random_machines),
		cmocka_unit_test_teardown(removed_before_it_is_made, fixture_end),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
