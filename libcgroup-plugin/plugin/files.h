/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files in folders that others may write to. Shared by the plugin and the command. */
#ifndef FILES_H
#define FILES_H

#include <stdbool.h>
#include <stddef.h>

#define FILE_WHY 160	/* room for the words of a refusal */

int file_check_owner(int fd, char *why);
int file_open_trusted(int dirfd, const char *name, int flags, char *why);
int file_open_append(const char *name, char *why);
int file_replace(int dirfd, const char *name, const void *data, size_t len, bool sync);

#endif /* FILES_H */
