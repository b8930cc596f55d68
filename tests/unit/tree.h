/* SPDX-License-Identifier: GPL-2.0 */
/* A file tree that looks like a machine to the library. */
#ifndef TEST_TREE_H
#define TEST_TREE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcgmigrate.h"

#define TREE_PAGE 4096ULL
#define MIB (1024ULL * 1024)

struct tree {
	char dir[64];
};

void tree_make(struct tree *tree);
void tree_remove(struct tree *tree);
void tree_write(const struct tree *tree, const char *text, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
char *tree_read(const struct tree *tree, const char *path);

/* Four nodes of 1 GiB each, cgroup v2 with cpuset and memory, engine or not. */
void tree_machine(const struct tree *tree, int engine);
/* A cgroup with nodes, bytes of anonymous memory by node, and the engine's files. */
void tree_cgroup(const struct tree *tree, const char *path, const char *mems,
		 const uint64_t anon[4]);
void tree_anon(const struct tree *tree, const char *path, const uint64_t anon[4]);
/* A process that has these pages, and no more, in one private mapping. */
void tree_pages(const struct tree *tree, int pid, uint64_t start, uint64_t end);
/* When a process, or a thread, began. */
void tree_start(const struct tree *tree, int tid, int start);
struct cgm_context *tree_context(const struct tree *tree);

#endif /* TEST_TREE_H */
