/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Preloaded into a program, makes one call of a kind fail: the INJECT_AT-th of the kind
 * INJECT (memory, open, read or write), in each process. INJECT_LOG names a file that gets
 * a line for the call that failed, or, without INJECT_AT, for each that could: its number
 * and the stack. Calls that are not made for our own code, such as the loader's, are in no
 * line. Below INJECT_ROOT lies a tree whose files are opened in place of those of /proc and
 * /sys.
 */
#ifndef INJECT_H
#define INJECT_H

#include <dlfcn.h>
#include <stdbool.h>

enum kind { MEMORY, OPEN, READ, WRITE, KINDS };

/* call.c */
bool inject_fails(enum kind kind);

/* The function that the caller would have called. */
#define NEXT(name) \
({ \
	static __typeof__(name) *next_##name; \
	if (!next_##name) \
		next_##name = dlsym(RTLD_NEXT, #name); \
	next_##name; \
})

#endif /* INJECT_H */
