/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is below a cgroup, however deep that is. */
#ifndef CGM_DESCEND_H
#define CGM_DESCEND_H

/*
 * Called with a descriptor of a directory, which is closed afterwards, and with its path
 * below the first, "" or "/a/b". What is not 0 ends it.
 */
typedef int (*descend_fn)(int dirfd, const char *below, void *data);

int descend(int dirfd, descend_fn fn, void *data);

#endif /* CGM_DESCEND_H */
