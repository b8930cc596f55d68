// SPDX-License-Identifier: GPL-2.0
/*
 * The verbs that act on regions.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numaload.h"

#define QUERY_PAGES	2048

static int do_alloc(struct request *req)
{
	struct region *region;
	long long pages, lock;

	if (req->nr_words != 2)
		return refuse(req, "alloc: give one name");
	if (region_find(req->words[1]))
		return refuse(req, "alloc: there is a region called %s", req->words[1]);
	if (arg_num(req, "pages", 0, &pages) || arg_num(req, "lock", 0, &lock))
		return -1;
	region = region_create(req->words[1], arg_str(req, "kind", "anon"), pages,
			       arg_str(req, "path", NULL), lock, req->why,
			       sizeof(req->why));
	if (!region)
		return -1;
	fprintf(req->out, " addr=%#lx pages=%zu", (unsigned long)region->addr,
		region->pages);
	return 0;
}

static int do_free(struct request *req)
{
	struct region *region = arg_region(req);

	if (!region)
		return -1;
	if (workers_running() || churn_running())
		return refuse(req, "free: stop the workers first");
	region_destroy(region);
	return 0;
}

static int do_remap(struct request *req)
{
	const char *name = arg_str(req, "onto", NULL);
	struct region *region = arg_region(req), *onto = NULL;
	int ret;

	if (!region)
		return -1;
	if (name) {
		onto = region_find(name);
		if (!onto || onto == region || onto->pages != region->pages)
			return refuse(req, "remap: %s is no other region of this size",
				      name);
	}
	if (workers_running() || churn_running())
		return refuse(req, "remap: stop the workers first");
	ret = region_remap(region, onto);
	if (ret)
		return refuse(req, "remap %s: %s", region->name, strerror(-ret));
	fprintf(req->out, " addr=%#lx", (unsigned long)region->addr);
	return 0;
}

static int do_fill(struct request *req)
{
	struct region *region = arg_region(req);
	size_t from, count;
	struct nodes nodes;
	long long stripe;
	int ret;

	if (!region || arg_range(req, region, &from, &count) ||
	    arg_nodes(req, "nodes", &nodes) || arg_num(req, "stripe", 0, &stripe))
		return -1;
	/* Without a stripe, one block a node. */
	if (stripe <= 0)
		stripe = nodes.count > 1 ? (count + nodes.count - 1) / nodes.count : 1;
	ret = region_fill(region, from, count, &nodes, stripe);
	if (ret)
		return refuse(req, "fill %s: %s", region->name, strerror(-ret));
	return 0;
}

static int do_touch(struct request *req)
{
	struct region *region = arg_region(req);
	size_t from, count;

	if (!region || arg_range(req, region, &from, &count))
		return -1;
	region_touch(region, from, count);
	return 0;
}

static int do_rewrite(struct request *req)
{
	struct region *region = arg_region(req);
	size_t from, count, page;

	if (!region || arg_range(req, region, &from, &count))
		return -1;
	for (page = from; page < from + count; page++)
		page_rewrite(region, page);
	return 0;
}

/*
 * Where pages are, from the page tables: a node, or a negative error number.
 */
static int query(const struct region *region, size_t from, size_t count, int *node)
{
	void *addr[QUERY_PAGES];
	size_t i;

	for (i = 0; i < count; i++)
		addr[i] = region_page(region, from + i);
	if (syscall(SYS_move_pages, 0, count, addr, NULL, node, 0) < 0)
		return -errno;
	return 0;
}

static int for_each_node(struct region *region, size_t from, size_t count,
			 void (*fn)(void *arg, int node), void *arg)
{
	int node[QUERY_PAGES], ret;
	size_t done, n, i;

	for (done = 0; done < count; done += n) {
		n = count - done < QUERY_PAGES ? count - done : QUERY_PAGES;
		ret = query(region, from + done, n, node);
		if (ret)
			return ret;
		for (i = 0; i < n; i++)
			fn(arg, node[i]);
	}
	return 0;
}

struct census {
	size_t on[MAX_NODES];
	size_t absent;
	size_t error;
};

static void census_add(void *arg, int node)
{
	struct census *census = arg;

	if (node >= 0 && node < MAX_NODES)
		census->on[node]++;
	else if (node == -ENOENT || node == -EFAULT)
		census->absent++;
	else
		census->error++;
}

static void census_print(const struct census *census, FILE *out)
{
	int node;

	for (node = 0; node < MAX_NODES; node++)
		if (census->on[node])
			fprintf(out, " %d=%zu", node, census->on[node]);
	if (census->absent)
		fprintf(out, " absent=%zu", census->absent);
	if (census->error)
		fprintf(out, " error=%zu", census->error);
}

static int do_where(struct request *req)
{
	struct region *region = arg_region(req);
	static struct census census;
	size_t from, count;
	int ret;

	if (!region || arg_range(req, region, &from, &count))
		return -1;
	memset(&census, 0, sizeof(census));
	ret = for_each_node(region, from, count, census_add, &census);
	if (ret)
		return refuse(req, "where %s: %s", region->name, strerror(-ret));
	census_print(&census, req->out);
	return 0;
}

struct runs {
	FILE *out;
	size_t length;
	int node;
	const char *comma;
};

static void runs_flush(struct runs *runs)
{
	if (!runs->length)
		return;
	fprintf(runs->out, "%s%d*%zu", runs->comma, runs->node, runs->length);
	runs->comma = ",";
}

static void runs_add(void *arg, int node)
{
	struct runs *runs = arg;

	if (runs->length && runs->node == node) {
		runs->length++;
		return;
	}
	runs_flush(runs);
	runs->node = node;
	runs->length = 1;
}

static int do_pages(struct request *req)
{
	struct region *region = arg_region(req);
	struct runs runs = { .out = req->out, .comma = "" };
	size_t from, count;
	int ret;

	if (!region || arg_range(req, region, &from, &count))
		return -1;
	fputs(" nodes=", req->out);
	ret = for_each_node(region, from, count, runs_add, &runs);
	runs_flush(&runs);
	if (ret)
		return refuse(req, "pages %s: %s", region->name, strerror(-ret));
	return 0;
}

static void print_tally(struct request *req, const struct tally *tally)
{
	fprintf(req->out, " pages=%" PRIu64 " bad=%" PRIu64, tally->pages, tally->bad);
	if (tally->bad) {
		fputs(" first=", req->out);
		bad_pages_print(req->out);
	}
}

static int do_adopt(struct request *req)
{
	struct region *region = arg_region(req);
	struct tally tally = { 0 };

	if (!region)
		return -1;
	if (workers_running() || churn_running())
		return refuse(req, "adopt: stop the workers first");
	region_adopt_snapshot(region, &tally);
	fprintf(req->out, " torn=%" PRIu64, tally.torn);
	print_tally(req, &tally);
	return 0;
}

static int do_verify(struct request *req)
{
	struct tally tally = { 0 };
	struct region *region;
	int i;

	if (req->nr_words > 1) {
		region = arg_region(req);
		if (!region)
			return -1;
		region_verify(region, &tally);
	} else {
		for (i = 0; i < atomic_load(&nr_regions); i++)
			if (regions[i].addr)
				region_verify(&regions[i], &tally);
	}
	print_tally(req, &tally);
	return 0;
}

static int mode_flags(struct request *req, int *flags)
{
	const char *text = arg_str(req, "flag", "");

	*flags = 0;
	if (!strcmp(text, "static"))
		*flags = MPOL_F_STATIC_NODES;
	else if (!strcmp(text, "relative"))
		*flags = MPOL_F_RELATIVE_NODES;
	else if (*text)
		return refuse(req, "flag=%s: static or relative", text);
	return 0;
}

static int arg_policy(struct request *req, int *mode, struct nodes *nodes)
{
	const char *name = arg_str(req, "mode", "default");
	int flags;

	if (policy_mode(name, mode))
		return refuse(req, "mode=%s is not a memory policy", name);
	if (mode_flags(req, &flags) || arg_nodes(req, "nodes", nodes))
		return -1;
	*mode |= flags;
	return 0;
}

static int do_mbind(struct request *req)
{
	struct region *region = arg_region(req);
	size_t from, count;
	struct nodes nodes;
	int mode;

	if (!region || arg_range(req, region, &from, &count) ||
	    arg_policy(req, &mode, &nodes))
		return -1;
	if (syscall(SYS_mbind, region_page(region, from), count * page_size, mode,
		    nodes.count ? nodes.bits : NULL, nodes.count ? MAX_NODES : 0, 0))
		return refuse(req, "mbind %s: %s", region->name, strerror(errno));
	return 0;
}

static int do_mempolicy(struct request *req)
{
	struct nodes nodes;
	int mode;

	if (arg_policy(req, &mode, &nodes))
		return -1;
	if (syscall(SYS_set_mempolicy, mode, nodes.count ? nodes.bits : NULL,
		    nodes.count ? MAX_NODES : 0))
		return refuse(req, "set_mempolicy: %s", strerror(errno));
	return 0;
}

static int do_policy(struct request *req)
{
	unsigned long bits[MAX_NODES / (8 * sizeof(unsigned long))] = { 0 };
	struct region *region = arg_region(req);
	size_t from, count;
	int mode;

	if (!region || arg_range(req, region, &from, &count))
		return -1;
	if (syscall(SYS_get_mempolicy, &mode, bits, MAX_NODES, region_page(region, from),
		    MPOL_F_ADDR))
		return refuse(req, "get_mempolicy %s: %s", region->name, strerror(errno));
	fprintf(req->out, " mode=%s nodes=", policy_name(mode & ~MPOL_MODE_FLAGS));
	nodes_print(bits, req->out);
	return 0;
}

const struct verb region_verbs[] = {
	{ "alloc", do_alloc, "NAME kind=KIND pages=N [path=FILE] [lock=1]" },
	{ "free", do_free, "NAME" },
	{ "remap", do_remap, "NAME [onto=REGION] (takes its place, and it is gone)" },
	{ "fill", do_fill, "NAME [nodes=LIST] [stripe=PAGES] [from= count=]" },
	{ "touch", do_touch, "NAME [from= count=]" },
	{ "rewrite", do_rewrite, "NAME [from= count=]" },
	{ "where", do_where, "NAME [from= count=]" },
	{ "pages", do_pages, "NAME [from= count=]" },
	{ "verify", do_verify, "[NAME]" },
	{ "adopt", do_adopt, "NAME (verify it, though a writer was killed)" },
	{ "mbind", do_mbind, "NAME mode=MODE nodes=LIST [flag=static|relative] [from= count=]" },
	{ "mempolicy", do_mempolicy, "mode=MODE nodes=LIST [flag=static|relative]" },
	{ "policy", do_policy, "NAME [from=]" },
	{ 0 }
};
