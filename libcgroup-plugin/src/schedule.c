// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * In which order to give cgroups other nodes.
 *
 * Every step is one write to one cpuset.mems. First those that have others
 * below them get their old and new nodes together, parents first, which moves
 * nothing. Then the memory moves: cgroups without others below them from the
 * old to the new nodes in one write, so that each page keeps its relative place;
 * their parents are narrowed when all below them are done. What inherits in the
 * end is let go of last.
 *
 * A move is made when the room it needs is there. When none can be made, the
 * smallest set is looked for that makes room for each other when made together;
 * when there is none, one cgroup goes to nodes that are free, and to its own
 * later. Memory is followed page group by page group through all of that, so no
 * step asks for room that is not there.
 */
#include <stdlib.h>
#include <string.h>

#include "schedule.h"

/* One stream of bytes that a write makes move. */
struct flow {
	size_t group;
	int from;		/* resource */
	int to;
	uint64_t bytes;
};

struct flows {
	struct flow *list;
	size_t count;
};

struct state {
	struct schedule *s;
	cgm_nodeset *masks;	/* cpuset.mems by group, as the steps so far left it */
	cgm_nodeset *targets;	/* what its move writes */
	bool *moves;		/* has a move to make still */
	int round;
	enum sched_error error;
};

static void set_minus(cgm_nodeset *out, const cgm_nodeset *a, const cgm_nodeset *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(out->bits); i++)
		out->bits[i] = a->bits[i] & ~b->bits[i];
}

static bool is_empty(const cgm_nodeset *set)
{
	return !cgm_nodeset_weight(set);
}

/* The nodes in force in a cgroup, when cpuset.mems are as in @masks. */
static cgm_nodeset effective_of(const struct schedule *s, const cgm_nodeset *masks, int g)
{
	int parent = s->groups[g].parent;
	cgm_nodeset above = parent < 0 ? s->groups[g].outer : effective_of(s, masks, parent);
	cgm_nodeset both;

	cgm_nodeset_and(&both, &masks[g], &above);
	return is_empty(&both) ? above : both;
}

/* The nodes that a cgroup's parent gives it. */
static cgm_nodeset above_of(const struct schedule *s, const cgm_nodeset *masks, size_t g)
{
	int parent = s->groups[g].parent;

	return parent < 0 ? s->groups[g].outer : effective_of(s, masks, parent);
}

/* ---- what a write makes move ---- */

static int destination(const struct schedule *s, const cgm_nodeset *from,
		       const cgm_nodeset *to, int node)
{
	int dest = cgm_nodemap(from, to, node);

	return dest == CGM_NODE_NEAREST ? s->nearest(s->data, to, node) : dest;
}

static int add_flow(struct flows *flows, size_t group, int from, int to, uint64_t bytes)
{
	struct flow *more;

	if ((flows->count & (flows->count - 1)) == 0) {
		size_t room = flows->count ? flows->count * 2 : 1;

		more = realloc(flows->list, room * sizeof(*more));
		if (!more)
			return -1;
		flows->list = more;
	}
	flows->list[flows->count++] = (struct flow){ group, from, to, bytes };
	return 0;
}

static int group_flows(const struct schedule *s, size_t g, const cgm_nodeset *from,
		       const cgm_nodeset *to, struct flows *flows)
{
	if (cgm_nodeset_equal(from, to))
		return 0;
	for (int r = 0; r < s->kinds * s->nodes; r++) {
		uint64_t bytes = s->groups[g].bytes[r];
		int dest;

		if (!bytes)
			continue;
		dest = destination(s, from, to, r % s->nodes);
		if (dest >= 0 && dest != r % s->nodes &&
		    add_flow(flows, g, r, r - r % s->nodes + dest, bytes))
			return -1;
	}
	return 0;
}

/* What moves when one cgroup's mask is written, in it and below it. */
static int write_flows(struct state *st, size_t g, const cgm_nodeset *mask,
		       struct flows *flows)
{
	struct schedule *s = st->s;
	cgm_nodeset kept = st->masks[g];
	int err = 0;

	for (size_t i = g; i < s->groups[g].end && !err; i++) {
		cgm_nodeset now = effective_of(s, st->masks, i), then;

		st->masks[g] = *mask;
		then = effective_of(s, st->masks, i);
		st->masks[g] = kept;
		err = group_flows(s, i, &now, &then, flows);
	}
	return err;
}

static uint64_t bytes_of(const struct flows *flows)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < flows->count; i++)
		sum += flows->list[i].bytes;
	return sum;
}

/* ---- steps ---- */

static void commit_flows(struct schedule *s, const struct flows *flows)
{
	for (size_t i = 0; i < flows->count; i++) {
		const struct flow *f = &flows->list[i];

		s->groups[f->group].bytes[f->from] -= f->bytes;
		s->room[f->from] += f->bytes;
	}
	for (size_t i = 0; i < flows->count; i++) {
		const struct flow *f = &flows->list[i];

		s->groups[f->group].bytes[f->to] += f->bytes;
		s->room[f->to] -= f->bytes;
	}
}

/* Write a mask in the present round. */
static int add_step(struct state *st, enum cgm_step_kind kind, size_t g,
		    const cgm_nodeset *mask)
{
	struct schedule *s = st->s;
	struct flows flows = { 0 };
	struct sched_step *more;

	if (cgm_nodeset_equal(&st->masks[g], mask))
		return 0;
	more = realloc(s->steps, (s->step_count + 1) * sizeof(*more));
	if (more)
		s->steps = more;
	if (!more || write_flows(st, g, mask, &flows)) {
		free(flows.list);
		st->error = SCHED_NOMEM;
		return -1;
	}
	s->steps[s->step_count++] = (struct sched_step){
		.kind = kind, .round = st->round, .group = g, .from = st->masks[g],
		.to = *mask, .bytes = bytes_of(&flows),
	};
	commit_flows(s, &flows);
	free(flows.list);
	st->masks[g] = *mask;
	return 0;
}

static bool changes(const struct schedule *s, size_t g)
{
	return !cgm_nodeset_equal(&s->groups[g].now, &s->groups[g].wanted);
}

static bool has_children(const struct schedule *s, size_t g)
{
	return s->groups[g].end > g + 1;
}

static bool changes_above(const struct schedule *s, size_t g)
{
	for (int p = s->groups[g].parent; p >= 0; p = s->groups[p].parent)
		if (changes(s, p))
			return true;
	return false;
}

/* A cgroup that would come to more nodes when those above are widened: held. */
static int pin(struct state *st)
{
	struct schedule *s = st->s;

	for (size_t g = 0; g < s->count; g++) {
		if (!changes(s, g) || !changes_above(s, g))
			continue;
		if (add_step(st, CGM_STEP_PIN, g, &s->groups[g].before))
			return -1;
	}
	return 0;
}

static int widen(struct state *st)
{
	struct schedule *s = st->s;

	for (size_t g = 0; g < s->count; g++) {
		cgm_nodeset wide;

		if (!changes(s, g) || !has_children(s, g))
			continue;
		st->round++;
		cgm_nodeset_or(&wide, &s->groups[g].before, &s->groups[g].after);
		if (add_step(st, CGM_STEP_WIDEN, g, &wide))
			return -1;
	}
	return 0;
}

/* What is to inherit has its own nodes until those above have theirs. */
static int release(struct state *st)
{
	struct schedule *s = st->s;

	st->round++;
	for (size_t g = 0; g < s->count; g++)
		if (changes(s, g) && add_step(st, CGM_STEP_RELEASE, g, &s->groups[g].wanted))
			return -1;
	return 0;
}

/* ---- moving ---- */

/* All below it are where they are to be. */
static bool is_ready(const struct state *st, size_t g)
{
	if (!st->moves[g])
		return false;
	for (size_t i = g + 1; i < st->s->groups[g].end; i++)
		if (st->moves[i])
			return false;
	return true;
}

/*
 * Can all of this move at once, each as far as there is room, until it is done?
 * Says where it ends when it cannot.
 */
static bool can_flow(struct schedule *s, const struct flows *flows, int *resource,
		     uint64_t *missing)
{
	int resources = s->kinds * s->nodes;
	int64_t *room = malloc(resources * sizeof(*room));
	uint64_t *left = malloc((flows->count + 1) * sizeof(*left));
	bool progress = true, done = false;

	if (room)
		memcpy(room, s->room, resources * sizeof(*room));
	for (size_t i = 0; left && i < flows->count; i++)
		left[i] = flows->list[i].bytes;
	while (room && left && progress && !done) {
		progress = false;
		done = true;
		for (size_t i = 0; i < flows->count; i++) {
			const struct flow *f = &flows->list[i];
			uint64_t most = room[f->to] > 0 ? room[f->to] : 0;

			if (most < left[i] && most < s->least[f->to / s->nodes])
				most = 0;
			if (most > left[i])
				most = left[i];
			left[i] -= most;
			room[f->to] -= most;
			room[f->from] += most;
			progress |= most > 0;
			done &= !left[i];
			if (left[i]) {
				*resource = f->to;
				*missing = left[i] - (room[f->to] > 0 ? room[f->to] : 0);
			}
		}
	}
	free(room);
	free(left);
	return done;
}

static bool can_move(struct state *st, const size_t *groups, size_t count, int *resource,
		     uint64_t *missing)
{
	struct flows flows = { 0 };
	bool can = true;

	for (size_t i = 0; i < count; i++)
		if (write_flows(st, groups[i], &st->targets[groups[i]], &flows))
			st->error = SCHED_NOMEM;
	if (st->error || !can_flow(st->s, &flows, resource, missing))
		can = false;
	free(flows.list);
	return can;
}

static uint64_t size_of(struct state *st, size_t g)
{
	struct flows flows = { 0 };
	uint64_t bytes = 0;

	if (write_flows(st, g, &st->targets[g], &flows))
		st->error = SCHED_NOMEM;
	else
		bytes = bytes_of(&flows);
	free(flows.list);
	return bytes;
}

static int make_moves(struct state *st, const size_t *groups, size_t count)
{
	st->round++;
	for (size_t i = 0; i < count; i++) {
		size_t g = groups[i];
		bool narrow = has_children(st->s, g);

		if (add_step(st, narrow ? CGM_STEP_NARROW : CGM_STEP_MOVE, g,
			     &st->targets[g]))
			return -1;
		st->moves[g] = false;
	}
	return 0;
}

/* The largest that can move by itself: it makes most room. */
static bool move_one(struct state *st)
{
	size_t best = 0;
	uint64_t most = 0, missing;
	bool found = false;
	int resource;

	for (size_t g = 0; g < st->s->count; g++) {
		uint64_t bytes;

		if (!is_ready(st, g))
			continue;
		bytes = size_of(st, g);
		if ((found && bytes <= most) || !can_move(st, &g, 1, &resource, &missing))
			continue;
		found = true;
		most = bytes;
		best = g;
	}
	return found && !make_moves(st, &best, 1);
}

/* Of those ready and not in the set, the one that frees most of a resource. */
static int find_relief(struct state *st, const size_t *set, size_t count, int resource)
{
	uint64_t most = 0;
	int best = -1;

	for (size_t g = 0; g < st->s->count; g++) {
		struct flows flows = { 0 };
		uint64_t freed = 0;
		bool known = false;

		for (size_t i = 0; i < count; i++)
			known |= set[i] == g;
		if (known || !is_ready(st, g))
			continue;
		if (write_flows(st, g, &st->targets[g], &flows))
			st->error = SCHED_NOMEM;
		for (size_t i = 0; i < flows.count; i++)
			if (flows.list[i].from == resource)
				freed += flows.list[i].bytes;
		free(flows.list);
		if (freed > most) {
			most = freed;
			best = g;
		}
	}
	return best;
}

/* Start from one and add who makes the room that is missing. 0: that leads nowhere. */
static size_t grow_set(struct state *st, size_t first, size_t *set)
{
	size_t count = 1;
	uint64_t missing;
	int resource = 0;

	set[0] = first;
	while (!can_move(st, set, count, &resource, &missing)) {
		int relief = st->error ? -1 : find_relief(st, set, count, resource);

		if (relief < 0)
			return 0;
		set[count++] = relief;
	}
	return count;
}

/* The smallest set of moves that make room for each other. */
static bool move_together(struct state *st)
{
	size_t count = st->s->count, least = 0;
	size_t *set = calloc(2 * count, sizeof(*set)), *best;
	bool moved = false;

	if (!set) {
		st->error = SCHED_NOMEM;
		return false;
	}
	best = set + count;
	for (size_t g = 0; g < count; g++) {
		size_t n = is_ready(st, g) ? grow_set(st, g, set) : 0;

		if (n && (!least || n < least)) {
			least = n;
			memcpy(best, set, n * sizeof(*set));
		}
	}
	if (least)
		moved = !make_moves(st, best, least);
	free(set);
	return moved;
}

/*
 * As many nodes as the cgroup has, with most room, of those it is allowed, none
 * of them its own now or later. False when there are not enough.
 */
static bool find_free_nodes(struct state *st, size_t g, cgm_nodeset *out)
{
	struct schedule *s = st->s;
	int wanted = cgm_nodeset_weight(&s->groups[g].before);
	cgm_nodeset above = above_of(s, st->masks, g), own, left;

	cgm_nodeset_and(&left, &above, &s->memory);
	cgm_nodeset_or(&own, &s->groups[g].before, &s->groups[g].after);
	set_minus(&left, &left, &own);
	cgm_nodeset_clear(out);
	for (; wanted > 0; wanted--) {
		int best = -1;

		for (int n = cgm_nodeset_next(&left, -1); n >= 0 && n < s->nodes;
		     n = cgm_nodeset_next(&left, n))
			if (!cgm_nodeset_has(out, n) &&
			    (best < 0 || s->room[n] > s->room[best]))
				best = n;
		if (best < 0)
			return false;
		cgm_nodeset_add(out, best);
	}
	return true;
}

/* The smallest cgroup that fits somewhere else goes there, and out of the way. */
static bool bounce_one(struct state *st)
{
	struct schedule *s = st->s;
	cgm_nodeset place, best_place;
	uint64_t least = 0, missing;
	int resource, best = -1;

	for (size_t g = 0; g < s->count; g++) {
		cgm_nodeset target = st->targets[g];
		uint64_t bytes;

		if (!is_ready(st, g) || s->groups[g].bounced || has_children(s, g) ||
		    !find_free_nodes(st, g, &place))
			continue;
		bytes = size_of(st, g);
		st->targets[g] = place;
		if (can_move(st, &g, 1, &resource, &missing) &&
		    (best < 0 || bytes < least)) {
			best = g;
			least = bytes;
			best_place = place;
		}
		st->targets[g] = target;
	}
	if (best < 0)
		return false;
	st->round++;
	s->groups[best].bounced = true;
	return !add_step(st, CGM_STEP_BOUNCE, best, &best_place);
}

/* Who lacks least, for the message. */
static void explain_stuck(struct state *st)
{
	struct schedule *s = st->s;
	uint64_t missing = UINT64_MAX;
	int resource = 0;

	s->missing = UINT64_MAX;
	for (size_t g = 0; g < s->count; g++) {
		if (!is_ready(st, g) || can_move(st, &g, 1, &resource, &missing) ||
		    missing >= s->missing)
			continue;
		s->missing = missing;
		s->bad_resource = resource;
		s->bad_group = g;
	}
	if (!st->error)
		st->error = SCHED_STUCK;
}

static int move_all(struct state *st)
{
	for (;;) {
		bool left = false;

		for (size_t g = 0; g < st->s->count; g++)
			left |= st->moves[g];
		if (!left || st->error)
			return st->error ? -1 : 0;
		if (move_one(st) || move_together(st) || bounce_one(st))
			continue;
		if (!st->error)
			explain_stuck(st);
		return -1;
	}
}

/* ---- before and after ---- */

/* Every mask that is written, and every one that stays, has to count for itself. */
static enum sched_error check_masks(struct schedule *s, const cgm_nodeset *masks)
{
	for (size_t g = 0; g < s->count; g++) {
		const cgm_nodeset *wanted = &s->groups[g].wanted;
		cgm_nodeset above = above_of(s, masks, g), both;

		s->bad_group = g;
		if (is_empty(wanted)) {
			if (s->version == 1 && changes(s, g))
				return SCHED_EMPTY;
			continue;
		}
		if ((s->version == 1 || changes(s, g)) &&
		    !cgm_nodeset_subset(wanted, &above))
			return SCHED_INVALID;
		cgm_nodeset_and(&both, wanted, &above);
		if (is_empty(&both))
			return SCHED_EMPTY;
	}
	return SCHED_OK;
}

/* Where everything would be if each cgroup moved from its old to its new nodes. */
static int64_t *rooms_at_end(struct schedule *s, uint64_t **places)
{
	int resources = s->kinds * s->nodes;
	int64_t *room = malloc(resources * sizeof(*room));

	*places = calloc(s->count * resources + 1, sizeof(**places));
	if (!room || !*places) {
		free(room);
		return NULL;
	}
	memcpy(room, s->room, resources * sizeof(*room));
	for (size_t g = 0; g < s->count; g++) {
		const struct sched_group *group = &s->groups[g];

		for (int r = 0; r < resources; r++) {
			int node = r % s->nodes, dest = node;

			if (!group->bytes[r])
				continue;
			if (!cgm_nodeset_equal(&group->before, &group->after))
				dest = destination(s, &group->before, &group->after, node);
			if (dest < 0)
				dest = node;
			room[r] += group->bytes[r];
			room[r - node + dest] -= group->bytes[r];
			(*places)[g * resources + r - node + dest] += group->bytes[r];
		}
	}
	return room;
}

static enum sched_error check_end(struct schedule *s, const int64_t *room)
{
	for (int r = 0; r < s->kinds * s->nodes; r++)
		if (room[r] < 0 && room[r] < s->room[r]) {
			s->bad_resource = r;
			s->missing = -room[r];
			return SCHED_NO_ROOM;
		}
	return SCHED_OK;
}

static void note_places(struct schedule *s, const uint64_t *places)
{
	int resources = s->kinds * s->nodes;

	for (size_t g = 0; g < s->count; g++)
		s->groups[g].out_of_place = memcmp(s->groups[g].bytes,
						   places + g * resources,
						   resources * sizeof(*places));
}

/* Rounds in which nothing had to be written are no rounds. */
static void number_rounds(struct schedule *s)
{
	int before = 0, number = 0;

	for (size_t i = 0; i < s->step_count; i++) {
		if (s->steps[i].round != before)
			number++;
		before = s->steps[i].round;
		s->steps[i].round = number;
	}
}

static enum sched_error make_steps(struct state *st)
{
	struct schedule *s = st->s;

	st->round = 1;
	for (size_t g = 0; g < s->count; g++) {
		st->moves[g] = changes(s, g);
		/* released at the end, unless nothing above it changes */
		st->targets[g] = is_empty(&s->groups[g].wanted) &&
				 (changes_above(s, g) || has_children(s, g)) ?
				 s->groups[g].after : s->groups[g].wanted;
	}
	if (pin(st) || widen(st) || move_all(st) || release(st))
		return st->error;
	number_rounds(s);
	return SCHED_OK;
}

static void find_ends(struct schedule *s)
{
	for (size_t g = s->count; g-- > 0;) {
		s->groups[g].end = g + 1;
		while (s->groups[g].end < s->count &&
		       s->groups[s->groups[g].end].parent >= (int)g)
			s->groups[g].end = s->groups[s->groups[g].end].end;
	}
}

/*
 * Fill in steps, and what was found out about groups. The bytes of groups and
 * the rooms are those at the end then.
 */
enum sched_error schedule_make(struct schedule *s)
{
	struct state st = { .s = s };
	enum sched_error error = SCHED_NOMEM;
	uint64_t *places = NULL;
	int64_t *room = NULL;

	st.moves = calloc(s->count + 1, sizeof(*st.moves));
	st.masks = calloc(2 * s->count + 1, sizeof(*st.masks));
	if (!st.moves || !st.masks)
		goto out;
	st.targets = st.masks + s->count;
	find_ends(s);
	for (size_t g = 0; g < s->count; g++)
		st.masks[g] = s->groups[g].wanted;
	for (size_t g = 0; g < s->count; g++)
		s->groups[g].after = effective_of(s, st.masks, g);
	error = check_masks(s, st.masks);
	for (size_t g = 0; g < s->count; g++)
		st.masks[g] = s->groups[g].now;
	for (size_t g = 0; g < s->count; g++)
		s->groups[g].before = effective_of(s, st.masks, g);
	if (error)
		goto out;
	room = rooms_at_end(s, &places);
	error = room ? check_end(s, room) : SCHED_NOMEM;
	if (!error)
		error = make_steps(&st);
	if (!error)
		note_places(s, places);
out:
	free(st.masks);
	free(st.moves);
	free(places);
	free(room);
	return error;
}
