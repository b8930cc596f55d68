// SPDX-License-Identifier: LGPL-2.1-or-later
/* Entries for journald, in its own protocol: one datagram, field by field. */
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "journal.h"

/** Start an entry, to be given to journal_end(). */
void journal_begin(struct journal_entry *entry)
{
	entry->text = NULL;
	entry->len = 0;
	entry->file = open_memstream(&entry->text, &entry->len);
}

/** Add a field; one name may come several times. A value is any text. */
void journal_field(struct journal_entry *entry, const char *name, const char *value)
{
	uint64_t len = htole64(strlen(value));

	if (!entry->file)
		return;
	if (!strchr(value, '\n')) {
		fprintf(entry->file, "%s=%s\n", name, value);
		return;
	}
	/* Its end is not that of a line: the length comes first. */
	fprintf(entry->file, "%s\n", name);
	fwrite(&len, sizeof(len), 1, entry->file);
	fprintf(entry->file, "%s\n", value);
}

static int send_text(const struct journal_entry *entry, const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, err = 0;

	if (strlen(socket_path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, socket_path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, entry->text, entry->len, MSG_NOSIGNAL, (struct sockaddr *)&address,
		   sizeof(address)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/** Send it, without ever waiting. 0 or -errno: no journal, or it has no room now. */
int journal_end(struct journal_entry *entry, const char *socket_path)
{
	int err = entry->file && !fclose(entry->file) ? send_text(entry, socket_path) :
							-ENOMEM;

	free(entry->text);
	return err;
}
