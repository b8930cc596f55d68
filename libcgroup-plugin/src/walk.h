/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The present pages of a process, in order, without reading what is not there. */
#ifndef CGM_WALK_H
#define CGM_WALK_H

#include "pagemap.h"
#include "private.h"

/* One page, or one huge page as a whole. */
struct walk_page {
	uint64_t addr;
	uint64_t pfn;		/* 0: not shown to us, or not asked for */
	uint32_t size;		/* bytes */
	enum cgm_kind kind;
	bool shared;		/* mapped more than once */
};

#define WALK_RUNS 64
#define WALK_DEVS 16
#define WALK_ENTRIES 512

struct walker {
	struct cgm_context *ctx;
	pid_t pid;
	bool details;		/* fill in pfn and shared */
	int pagemap;
	char *maps;
	const char *line;	/* the mapping after the current one */
	uint64_t pos;		/* in the current mapping */
	uint64_t end;
	enum cgm_kind file_kind; /* of its pages that are not anonymous */
	uint64_t huge_size;	/* of a huge page in it */
	struct page_run runs[WALK_RUNS];
	int run;
	int run_count;
	uint64_t pmd_size;
	struct walk_dev {
		unsigned int major;
		unsigned int minor;
		enum cgm_kind kind;
		uint64_t huge_size;
	} devs[WALK_DEVS];	/* what was found out about devices */
	int dev_count;
	uint64_t entries[WALK_ENTRIES]; /* pagemap from entries_start on */
	uint64_t entries_start;
	int entries_count;
};

int walker_open(struct walker *w, struct cgm_context *ctx, pid_t pid, bool details);
int walker_next(struct walker *w, struct walk_page *pages, size_t count);
void walker_close(struct walker *w);

#endif /* CGM_WALK_H */
