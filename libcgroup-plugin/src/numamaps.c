// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reading one line of /proc/PID/numa_maps. Pure: text in, numbers out. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "numamaps.h"

/* The kernel writes space, tab, newline and backslash of a name in octal. */
static void unescape(char *out, size_t size, const char *in, size_t len)
{
	size_t used = 0;

	for (size_t i = 0; i < len && used + 1 < size; i++) {
		if (in[i] == '\\' && i + 3 < len && isdigit((unsigned char)in[i + 1])) {
			out[used++] = (char)((in[i + 1] - '0') * 64 +
					     (in[i + 2] - '0') * 8 + (in[i + 3] - '0'));
			i += 3;
		} else {
			out[used++] = in[i];
		}
	}
	out[used] = '\0';
}

static void parse_word(const char *word, size_t len, struct numa_line *line)
{
	if (!strncmp(word, "file=", 5)) {
		unescape(line->file, sizeof(line->file), word + 5, len - 5);
	} else if (len == 4 && !strncmp(word, "huge", 4)) {
		line->huge = 1;
	} else if (!strncmp(word, "anon=", 5)) {
		line->anon = number_parse(word + 5, NULL);
	} else if (!strncmp(word, "kernelpagesize_kB=", 18)) {
		line->page_size = number_kib(word + 18);
	} else if (word[0] == 'N' && isdigit((unsigned char)word[1])) {
		char *end;
		long node = strtol(word + 1, &end, 10);
		uint64_t pages;

		if (*end != '=' || node >= CGM_NODES_MAX)
			return;
		pages = number_parse(end + 1, NULL);
		line->total += pages;
		if (line->count == sizeof(line->nodes) / sizeof(line->nodes[0]))
			return;
		line->nodes[line->count].node = node;
		line->nodes[line->count++].pages = pages;
	}
}

/* The kernel's names of policies are one word, but for two. */
static size_t policy_len(const char *text)
{
	static const char *const blank[] = { "weighted interleave", "prefer (many)" };

	for (size_t i = 0; i < sizeof(blank) / sizeof(blank[0]); i++) {
		size_t len = strlen(blank[i]);

		if (!strncmp(text, blank[i], len))
			return len + strcspn(text + len, " \n");
	}
	return strcspn(text, " \n");
}

/*
 * Parse one line (up to a newline or the end).
 * Returns 0, or -EINVAL when it does not start with an address.
 */
int numamaps_parse(const char *text, unsigned int page_size, struct numa_line *line)
{
	const char *p;
	char *end;

	memset(line, 0, offsetof(struct numa_line, nodes));
	line->page_size = page_size;
	/* Else strtoull() would go on to the next line, or take a sign. */
	if (!isxdigit((unsigned char)*text))
		return -EINVAL;
	line->start = strtoull(text, &end, 16);
	if (*end != ' ' && *end != '\n' && *end)
		return -EINVAL;
	p = end + strspn(end, " ");
	snprintf(line->policy, sizeof(line->policy), "%.*s", (int)policy_len(p), p);
	p += policy_len(p);
	while (*p && *p != '\n') {
		size_t len;

		p += strspn(p, " ");
		len = strcspn(p, " \n");
		parse_word(p, len, line);
		p += len;
	}
	return 0;
}

/* Names the kernel gives to shared memory that has no file system to look at. */
int numamaps_shared_name(const char *file)
{
	return !strncmp(file, "/memfd:", 7) || !strncmp(file, "/SYSV", 5) ||
	       !strncmp(file, "/dev/zero", 9) || !strncmp(file, "/dev/shm/", 9) ||
	       !strncmp(file, "/i915", 5);
}
