// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: the worker moves its own pages.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numastress.h"

#define MOVE_PAGES	64

/* Mostly what the cpuset allows, so that more than an error comes of it. */
static unsigned long some_nodes(struct worker *w, struct random *r)
{
	unsigned long nodes = nodes_allowed(getpid());

	return random_nodes(r, nodes && random_below(r, 8) ? nodes : w->nodes);
}

static int op_mbind(struct worker *w, struct random *r, size_t from, size_t count)
{
	static const int modes[] = { MPOL_BIND, MPOL_PREFERRED, MPOL_INTERLEAVE };
	int mode = modes[random_below(r, sizeof(modes) / sizeof(modes[0]))];
	unsigned long nodes = some_nodes(w, r);
	unsigned int flags = random_below(r, 2) ? MPOL_MF_MOVE : MPOL_MF_MOVE_ALL;

	if (!random_below(r, 4))
		return syscall(SYS_mbind, area_page(w->area, from), count * PAGE, MPOL_DEFAULT,
			       NULL, 0UL, flags) ? -errno : 0;
	return syscall(SYS_mbind, area_page(w->area, from), count * PAGE, mode, &nodes,
		       (unsigned long)MAX_NODES + 1, flags) ? -errno : 0;
}

static int move_list(struct worker *w, struct random *r, size_t from, size_t count)
{
	void *pages[MOVE_PAGES];
	int nodes[MOVE_PAGES], status[MOVE_PAGES];
	unsigned long to;
	size_t i;

	if (count > MOVE_PAGES)
		count = MOVE_PAGES;
	to = some_nodes(w, r);
	for (i = 0; i < count; i++) {
		pages[i] = area_page(w->area, from + i);
		nodes[i] = __builtin_ctzl(random_nodes(r, to));
	}
	return syscall(SYS_move_pages, 0, count, pages, nodes, status, MPOL_MF_MOVE) < 0 ? -errno :
											   0;
}

static int migrate_all(struct worker *w, struct random *r)
{
	unsigned long from = random_nodes(r, w->nodes), to = some_nodes(w, r);

	return syscall(SYS_migrate_pages, 0, (unsigned long)MAX_NODES + 1, &from, &to) < 0 ?
	       -errno : 0;
}

static int op_move(struct worker *w, struct random *r, size_t from, size_t count)
{
	if (random_below(r, 2))
		return move_list(w, r, from, count);
	return migrate_all(w, r);
}

const struct op move_ops[] = {
	{ "mbind", false, op_mbind },
	{ "move", false, op_move },
	{ 0 }
};
