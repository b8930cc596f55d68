// SPDX-License-Identifier: GPL-2.0
/*
 * Files of the kernel.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "numastress.h"

/**
 * file_write - one write(2)
 *
 * Return: 0 or -errno.
 */
int file_write(const char *path, const char *text, bool nonblock)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | (nonblock ? O_NONBLOCK : 0));
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/**
 * group_write - the same for a file of a cgroup
 */
int group_write(const char *group, const char *file, const char *text, bool nonblock)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", group, file);
	return file_write(path, text, nonblock);
}

/**
 * offer_to_oom - whoever lacks memory may have ours: another worker will be started
 */
void offer_to_oom(void)
{
	file_write("/proc/self/oom_score_adj", "1000", false);
}

/**
 * nodes_allowed - nodes that a process may use, by its cpuset; 0 if it is gone
 */
unsigned long nodes_allowed(int pid)
{
	char path[32], line[256];
	unsigned long nodes = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, "Mems_allowed:", 13))
			/* Of groups of 32 the last one. */
			nodes = strtoul(strpbrk(line, ",") ? strrchr(line, ',') + 1 : line + 13,
					NULL, 16);
	fclose(file);
	return nodes;
}

/**
 * nodes_text - nodes as the kernel reads them
 */
void nodes_text(unsigned long nodes, char *text, size_t len)
{
	size_t at = 0;
	int node;

	*text = '\0';
	for (node = 0; node < MAX_NODES && at < len; node++)
		if (nodes >> node & 1)
			at += snprintf(text + at, len - at, "%s%d", at ? "," : "", node);
}

/**
 * pick_group - one of them; NULL if there is none
 */
const char *pick_group(char **groups, int count, struct random *r)
{
	return count ? groups[random_below(r, count)] : NULL;
}
