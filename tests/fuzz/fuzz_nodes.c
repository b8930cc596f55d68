// SPDX-License-Identifier: GPL-2.0
/* Lists of nodes and CPUs; and of two of them, where one replaces the other. */
#include "fuzz.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Does a list name this node? Slow and plain; the list is known to be one. */
static bool names_node(const char *text, int node)
{
	while (*text) {
		char *end;
		long first, last;

		if (!isdigit((unsigned char)*text)) {
			text++;
			continue;
		}
		first = last = strtol(text, &end, 10);
		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		if (first <= node && node <= last)
			return true;
		text = end;
	}
	return false;
}

static bool parse(const char *text, cgm_nodeset *set)
{
	cgm_nodeset before;
	int err;

	memset(set, 0x5a, sizeof(*set));
	before = *set;
	err = cgm_nodeset_parse(text, set);
	CHECK(!err || err == -EINVAL || err == -ERANGE);
	CHECK(!err || cgm_nodeset_equal(set, &before));
	if (err)
		return false;
	for (int n = 0; n < CGM_NODES_MAX; n += n < 70 ? 1 : 53)
		CHECK(!cgm_nodeset_has(set, n) == !names_node(text, n));
	fuzz_check_nodes(set);
	return true;
}

/* Every node goes to a new one, except where there is none or the system is asked. */
static void check_map(const cgm_nodeset *from, const cgm_nodeset *to)
{
	cgm_nodeset reached = { 0 };

	for (int n = 0; n < 128; n++) {
		int dest = cgm_nodemap(from, to, n);

		if (!cgm_nodeset_weight(to))
			CHECK(dest == -1);
		else if (dest == CGM_NODE_NEAREST)
			CHECK(!cgm_nodeset_has(from, n) && !cgm_nodeset_has(to, n));
		else
			CHECK(cgm_nodeset_has(to, dest));
		if (cgm_nodeset_has(from, n))
			cgm_nodeset_add(&reached, dest);
	}
	if (cgm_nodeset_weight(from) == cgm_nodeset_weight(to) &&
	    cgm_nodeset_next(from, 127) < 0)
		CHECK(cgm_nodeset_equal(&reached, to));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *other = strchr(text, '>');
	cgm_nodeset from, to;
	cgm_cpuset cpus;

	if (other)
		*other++ = '\0';
	if (parse(text, &from) && other && parse(other, &to)) {
		check_map(&from, &to);
		cgm_cpumap(&from, &to, &from, &cpus);
		CHECK(cgm_nodeset_equal(&cpus, &to));
		cgm_cpumap(&from, &to, &to, &cpus);
		CHECK(!cgm_nodeset_weight(&to) || cgm_nodeset_subset(&cpus, &to));
	}
	free(text);
	return 0;
}
