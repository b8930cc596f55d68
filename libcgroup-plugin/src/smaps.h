/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What /proc/PID/smaps tells of one mapping. */
#ifndef CGM_SMAPS_H
#define CGM_SMAPS_H

#include <stdbool.h>
#include <stdint.h>

struct smaps_vma {
	uint64_t start;		/* first address */
	uint64_t huge;		/* bytes mapped by transparent huge pages */
	bool locked;		/* mlock(2) */
};

const char *smaps_next(const char *text, struct smaps_vma *vma);

#endif /* CGM_SMAPS_H */
