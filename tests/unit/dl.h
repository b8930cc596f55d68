/* SPDX-License-Identifier: GPL-2.0 */
/* What the linker calls in the place of libdl's, see the Makefile. */
#ifndef TEST_DL_H
#define TEST_DL_H

void *__wrap_dlopen(const char *file, int flags);
void *__wrap_dlsym(void *handle, const char *name);
int __wrap_dlclose(void *handle);

#endif /* TEST_DL_H */
