// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes: lists of them, policies over them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numaload.h"

#define WORD_BITS	(8 * sizeof(unsigned long))

static const struct {
	const char *name;
	int mode;
} modes[] = {
	{ "default", MPOL_DEFAULT },
	{ "preferred", MPOL_PREFERRED },
	{ "bind", MPOL_BIND },
	{ "interleave", MPOL_INTERLEAVE },
	{ "local", MPOL_LOCAL },
	{ "preferred-many", MPOL_PREFERRED_MANY },
	/* Newer than the headers of the C library. */
	{ "weighted-interleave", 6 },
};

/**
 * nodes_parse - read a list such as 0-1,3
 *
 * The order of the list is kept in nodes->list. Return: 0 or -EINVAL.
 */
int nodes_parse(const char *text, struct nodes *nodes)
{
	char *end;
	long a, b;

	memset(nodes, 0, sizeof(*nodes));
	while (*text) {
		a = b = strtol(text, &end, 10);
		if (end == text)
			return -EINVAL;
		if (*end == '-') {
			text = end + 1;
			b = strtol(text, &end, 10);
			if (end == text)
				return -EINVAL;
		}
		if (a < 0 || b < a || b >= MAX_NODES)
			return -EINVAL;
		for (; a <= b; a++) {
			if (nodes->count == MAX_NODES)
				return -EINVAL;
			nodes->list[nodes->count++] = a;
			nodes->bits[a / WORD_BITS] |= 1UL << (a % WORD_BITS);
		}
		if (*end && *end != ',')
			return -EINVAL;
		text = end + (*end == ',');
	}
	return 0;
}

void nodes_print(const unsigned long *bits, FILE *out)
{
	const char *comma = "";
	int i;

	for (i = 0; i < MAX_NODES; i++) {
		if (!(bits[i / WORD_BITS] >> (i % WORD_BITS) & 1))
			continue;
		fprintf(out, "%s%d", comma, i);
		comma = ",";
	}
}

/**
 * nodes_bind_task - allocate for this thread on these nodes only
 */
int nodes_bind_task(const struct nodes *nodes)
{
	if (syscall(SYS_set_mempolicy, MPOL_BIND, nodes->bits, MAX_NODES))
		return -errno;
	return 0;
}

int nodes_unbind_task(void)
{
	if (syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0))
		return -errno;
	return 0;
}

/**
 * policy_mode - the number of a memory policy's name
 *
 * Return: 0 or -EINVAL.
 */
int policy_mode(const char *name, int *mode)
{
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(modes[i].name, name)) {
			*mode = modes[i].mode;
			return 0;
		}
	}
	return -EINVAL;
}

const char *policy_name(int mode)
{
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (modes[i].mode == mode)
			return modes[i].name;
	return "unknown";
}
