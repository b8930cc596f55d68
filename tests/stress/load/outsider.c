// SPDX-License-Identifier: GPL-2.0
/*
 * The main loop of an actor without an area.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "numastress.h"

/* What the kernel may answer when things come and go; anything else is a failure. */
static bool may_be(int error)
{
	switch (error) {
	case 0:
	case EAGAIN:
	case EBUSY:
	case EEXIST:
	case EINTR:
	case ENODEV:
	case ENOENT:
	case ENOMEM:
	case EOPNOTSUPP:
	case ESRCH:
	/* A node of the set has gone, or is not in that of the parent. */
	case EINVAL:
	case EACCES:
		return true;
	}
	return false;
}

static const struct role *find(const struct role *roles, const char *name)
{
	for (; roles->name; roles++)
		if (!strcmp(roles->name, name))
			return roles;
	return NULL;
}

static void once(const struct role *role, struct outsider *o, struct random *r, int op)
{
	char text[48] = "";
	int ret;

	board_begin(op);
	ret = role->fn(o, r, text, sizeof(text));
	board_end(op, ret, text);
	if (!may_be(-ret))
		board_fail("%s: %s: error %d", role->name, text, -ret);
}

/**
 * outsider_main - act until all have to be calm
 */
int outsider_main(int argc, char **argv)
{
	const struct role *role;
	struct outsider o;
	struct random r;
	uint64_t number;
	int op;

	if (argc < 4) {
		fputs("numastress act BOARD SLOT ROLE NODES [GROUP...]\n", stderr);
		return 2;
	}
	role = find(mover_roles, argv[2]);
	if (!role)
		role = find(disturber_roles, argv[2]);
	if (!role) {
		fprintf(stderr, "numastress: %s: no such role\n", argv[2]);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	board_open(argv[0]);
	board_take_slot(atoi(argv[1]), role->name);
	op = board_op(role->name);
	o = (struct outsider){ .groups = argv + 4,
			       .nr_groups = argc - 4,
			       .nodes = strtoul(argv[3], NULL, 16) };
	for (number = 0; !board_stops(PHASE_CALM); number++) {
		random_start(&r, board->seed, own_number, number);
		once(role, &o, &r, op);
		rest(&r, role->rest_us);
	}
	if (role->end)
		role->end(&o);
	return atomic_load(&board->failed);
}
