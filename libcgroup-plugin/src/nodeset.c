// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sets of NUMA nodes, and where a page goes when one set replaces another.
 * Pure arithmetic: nothing here reads the system.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

CGM_PUBLIC void cgm_nodeset_clear(cgm_nodeset *set)
{
	memset(set, 0, sizeof(*set));
}

CGM_PUBLIC void cgm_nodeset_add(cgm_nodeset *set, int node)
{
	if (node >= 0 && node < CGM_NODES_MAX)
		set->bits[node / 64] |= 1ULL << (node % 64);
}

CGM_PUBLIC int cgm_nodeset_has(const cgm_nodeset *set, int node)
{
	if (node < 0 || node >= CGM_NODES_MAX)
		return 0;
	return (set->bits[node / 64] >> (node % 64)) & 1;
}

CGM_PUBLIC int cgm_nodeset_weight(const cgm_nodeset *set)
{
	int weight = 0;

	for (size_t i = 0; i < ARRAY_SIZE(set->bits); i++)
		weight += __builtin_popcountll(set->bits[i]);
	return weight;
}

CGM_PUBLIC int cgm_nodeset_next(const cgm_nodeset *set, int prev)
{
	for (int node = prev < 0 ? 0 : prev + 1; node < CGM_NODES_MAX; node++) {
		uint64_t rest = set->bits[node / 64] >> (node % 64);

		if (rest)
			return node + __builtin_ctzll(rest);
		node |= 63;
	}
	return -1;
}

CGM_PUBLIC int cgm_nodeset_equal(const cgm_nodeset *a, const cgm_nodeset *b)
{
	return !memcmp(a, b, sizeof(*a));
}

CGM_PUBLIC int cgm_nodeset_subset(const cgm_nodeset *a, const cgm_nodeset *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(a->bits); i++)
		if (a->bits[i] & ~b->bits[i])
			return 0;
	return 1;
}

CGM_PUBLIC void cgm_nodeset_and(cgm_nodeset *out, const cgm_nodeset *a,
				const cgm_nodeset *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(out->bits); i++)
		out->bits[i] = a->bits[i] & b->bits[i];
}

CGM_PUBLIC void cgm_nodeset_or(cgm_nodeset *out, const cgm_nodeset *a,
			       const cgm_nodeset *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(out->bits); i++)
		out->bits[i] = a->bits[i] | b->bits[i];
}

/* Read one node number; leaves *p behind it. */
int node_parse(const char **p, int *node)
{
	long value = 0;

	if (!isdigit((unsigned char)**p))
		return -EINVAL;
	for (; isdigit((unsigned char)**p); (*p)++) {
		value = value * 10 + (**p - '0');
		if (value >= CGM_NODES_MAX)
			return -ERANGE;
	}
	*node = value;
	return 0;
}

CGM_PUBLIC int cgm_nodeset_parse(const char *text, cgm_nodeset *set)
{
	cgm_nodeset out = { 0 };
	const char *p = text;
	int err;

	while (isspace((unsigned char)*p))
		p++;
	while (*p && !isspace((unsigned char)*p)) {
		int first, last;

		err = node_parse(&p, &first);
		if (err)
			return err;
		last = first;
		if (*p == '-') {
			p++;
			err = node_parse(&p, &last);
			if (err)
				return err;
			if (last < first)
				return -EINVAL;
		}
		for (; first <= last; first++)
			cgm_nodeset_add(&out, first);
		if (*p == ',') {
			p++;
			if (!isdigit((unsigned char)*p))
				return -EINVAL;
		} else if (*p && !isspace((unsigned char)*p)) {
			return -EINVAL;
		}
	}
	while (isspace((unsigned char)*p))
		p++;
	if (*p)
		return -EINVAL;
	*set = out;
	return 0;
}

CGM_PUBLIC int cgm_nodeset_format(const cgm_nodeset *set, char *buf, size_t size)
{
	size_t len = 0;
	int node = cgm_nodeset_next(set, -1);

	if (size)
		buf[0] = '\0';
	while (node >= 0) {
		int last = node;
		char range[32];
		int n;

		while (cgm_nodeset_has(set, last + 1))
			last++;
		if (last == node)
			n = snprintf(range, sizeof(range), "%s%d", len ? "," : "", node);
		else
			n = snprintf(range, sizeof(range), "%s%d-%d", len ? "," : "",
				     node, last);
		if (len < size)
			snprintf(buf + len, size - len, "%s", range);
		len += n;
		node = cgm_nodeset_next(set, last);
	}
	return len;
}

/* How many nodes of the set come before this one. */
static int nodeset_rank(const cgm_nodeset *set, int node)
{
	int rank = 0;

	for (int n = cgm_nodeset_next(set, -1); n >= 0 && n < node;
	     n = cgm_nodeset_next(set, n))
		rank++;
	return rank;
}

CGM_PUBLIC int cgm_nodemap(const cgm_nodeset *from, const cgm_nodeset *to, int node)
{
	int weight = cgm_nodeset_weight(to);
	int rank, dest;

	if (!weight)
		return -1;
	if (!cgm_nodeset_has(from, node))
		return cgm_nodeset_has(to, node) ? node : CGM_NODE_NEAREST;
	if (weight != cgm_nodeset_weight(from) && cgm_nodeset_has(to, node))
		return node;

	rank = nodeset_rank(from, node) % weight;
	for (dest = cgm_nodeset_next(to, -1); rank > 0; rank--)
		dest = cgm_nodeset_next(to, dest);
	return dest;
}
