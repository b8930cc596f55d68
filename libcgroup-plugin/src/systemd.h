/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What systemd has set for its units, asked for over D-Bus. */
#ifndef CGM_SYSTEMD_H
#define CGM_SYSTEMD_H

#include "group.h"

void systemd_close(struct cgm_context *ctx);
const char *unit_interface(const char *unit, size_t len);
int systemd_get_mems(struct cgm_group *group, const char *unit, cgm_nodeset *mems);
int systemd_set_mems(struct cgm_group *group, const char *unit, const cgm_nodeset *mems,
		     bool persist);

#endif /* CGM_SYSTEMD_H */
