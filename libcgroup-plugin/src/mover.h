/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* move_pages(2) in batches of bounded time, with the fate of every page. */
#ifndef CGM_MOVER_H
#define CGM_MOVER_H

#include "pin.h"
#include "private.h"
#include "steer.h"
#include "walk.h"

struct move_page {
	struct walk_page page;
	int from;		/* node, or -errno */
	int to;			/* node it is to go to */
	enum cgm_reason reason;	/* its fate, once tried */
	bool tried;
};

struct mover {
	struct cgm_context *ctx;
	bool all;		/* move pages that others map too */
	struct steer steer;
	uint64_t max_usec;	/* longest call, without the overhead */
	unsigned int calls;
	int kpageflags;		/* descriptor or -1 */
	int pagemap;		/* of pagemap_pid, or -1 */
	pid_t pagemap_pid;
	struct pin pin;		/* whose pages move */
};

/* Plenty for one call: 4096 small pages. */
#define MOVER_PAGES 4096

void mover_init(struct mover *m, struct cgm_context *ctx, uint64_t bound_usec);
void mover_exit(struct mover *m);
int mover_hold(struct mover *m, pid_t pid);
int mover_query(pid_t pid, struct move_page *pages, size_t count);
int mover_move(struct mover *m, pid_t pid, struct move_page **pages, size_t count,
	       int node);
uint64_t mover_pfn(struct mover *m, pid_t pid, uint64_t addr);

#endif /* CGM_MOVER_H */
