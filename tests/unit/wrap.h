/* SPDX-License-Identifier: GPL-2.0 */
/* What the linker calls in the place of libdl's, and of ours, see the Makefile. */
#ifndef TEST_WRAP_H
#define TEST_WRAP_H

#include "libcgmigrate.h"

void *__wrap_dlopen(const char *file, int flags);
void *__wrap_dlsym(void *handle, const char *name);
int __wrap_dlclose(void *handle);
int __wrap_thread_pin(struct cgm_context *ctx, pid_t tid, const cgm_cpuset *cpus);

#endif /* TEST_WRAP_H */
