/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries for journald, in its own protocol. Shared by the plugin and the command. */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdio.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct journal_entry {
	FILE *file;		/* NULL: out of memory, told at the end */
	char *text;
	size_t len;
};

void journal_begin(struct journal_entry *entry);
void journal_field(struct journal_entry *entry, const char *name, const char *value);
int journal_end(struct journal_entry *entry, const char *socket_path);

#endif /* JOURNAL_H */
