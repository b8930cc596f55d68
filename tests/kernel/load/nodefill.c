// SPDX-License-Identifier: GPL-2.0
/*
 * Leaving a node nearly full, without asking the kernel to reclaim anything: the
 * free memory of the node is watched while memory is taken from it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "numaload.h"

#define STEP_PAGES	256

static bool read_number(const char *line, const char *key, long *value)
{
	size_t len = strlen(key);

	line += strspn(line, " ");
	if (strncmp(line, key, len) || line[len] != ' ')
		return false;
	*value = strtol(line + len, NULL, 10);
	return true;
}

/*
 * Free pages of all zones of a node, less their low watermarks. Zones without
 * memory have watermarks all the same.
 */
static int node_room(int node, long *room)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	char text[256];
	long value, low = 0;
	int current = -1, ret = -ENOENT;

	if (!file)
		return -errno;
	*room = 0;
	while (fgets(text, sizeof(text), file)) {
		if (sscanf(text, "Node %d, zone", &current) == 1)
			continue;
		if (current != node)
			continue;
		ret = 0;
		if (read_number(text, "pages free", &value))
			*room += value;
		else if (read_number(text, "low", &value))
			low = value;
		else if (read_number(text, "managed", &value) && value)
			*room -= low;
	}
	fclose(file);
	return ret;
}

static int take(size_t pages)
{
	unsigned char *addr = mmap(NULL, pages * page_size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (addr == MAP_FAILED)
		return -errno;
	/* Large steps by huge pages: the node is filled sooner. */
	madvise(addr, pages * page_size,
		pages > STEP_PAGES ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	for (i = 0; i < pages; i++)
		addr[i * page_size] = 1;
	/* Nobody makes room by swapping it out. */
	return mlock(addr, pages * page_size) ? -errno : 0;
}

static int do_nodefill(struct request *req)
{
	long long leave;
	struct nodes node;
	long room = 0, step;
	int ret;

	if (arg_nodes(req, "node", &node) || arg_num(req, "leave", 0, &leave))
		return -1;
	if (node.count != 1)
		return refuse(req, "nodefill: node= takes one node");
	ret = nodes_bind_task(&node);
	while (!ret) {
		ret = node_room(node.list[0], &room);
		if (ret || room <= leave)
			break;
		step = (room - leave) / 2;
		if (step > 16 * STEP_PAGES)
			step = 16 * STEP_PAGES;
		else if (step < STEP_PAGES / 8)
			step = room - leave < STEP_PAGES / 8 ? room - leave : STEP_PAGES / 8;
		ret = take(step);
	}
	nodes_unbind_task();
	if (ret)
		return refuse(req, "nodefill: %s", strerror(-ret));
	fprintf(req->out, " room=%ld", room);
	return 0;
}

const struct verb nodefill_verbs[] = {
	{ "nodefill", do_nodefill, "node=N leave=PAGES (free above the low watermark)" },
	{ 0 }
};
