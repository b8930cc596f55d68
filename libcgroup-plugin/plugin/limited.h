/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A move with a limit, and signals that would end the tool meanwhile. */
#ifndef PLUGIN_LIMITED_H
#define PLUGIN_LIMITED_H

#include <signal.h>
#include <stdint.h>

#include "libcgmigrate.h"

void limited_begin(sigset_t *held);
void limited_wait(struct cgm_job *job, uint64_t rate, const sigset_t *held);
void limited_end(const sigset_t *held);

#endif /* PLUGIN_LIMITED_H */
