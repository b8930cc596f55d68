/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cgroups that belong to units of systemd: checking and changing them. */
#ifndef CGM_UNIT_H
#define CGM_UNIT_H

#include "job.h"
#include "plan.h"

/* When systemd is told of a change. */
enum unit_moment {
	UNIT_WRITTEN,	/* cpuset.mems has the new nodes */
	UNIT_ENDED,	/* the memory has moved */
};

bool unit_of(struct cgm_group *group, char *unit, size_t size);
void unit_check(struct cgm_plan *plan, struct plan_item *item);
int unit_enable(struct job_run *run);
int unit_widen(struct job_run *run, const char *list);
void unit_tell(struct job_run *run, enum unit_moment moment);

#endif /* CGM_UNIT_H */
