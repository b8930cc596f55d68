// SPDX-License-Identifier: GPL-2.0
/*
 * Memory registered with userfaultfd. A thread of the process itself resolves its
 * faults and counts them: nobody may see one that is due to a move.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numaload.h"

static int uffd = -1;
static pthread_t resolver;
static _Atomic uint64_t nr_missing;
static _Atomic uint64_t nr_protected;

static void resolve(uint64_t address, uint64_t flags)
{
	struct uffdio_range range = { address & -(uint64_t)page_size, page_size };
	struct uffdio_writeprotect wp = { .range = range };
	struct uffdio_zeropage zero = { .range = range };

	if (flags & UFFD_PAGEFAULT_FLAG_WP) {
		atomic_fetch_add(&nr_protected, 1);
		ioctl(uffd, UFFDIO_WRITEPROTECT, &wp);
	} else {
		atomic_fetch_add(&nr_missing, 1);
		ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
	}
}

static void *resolver_main(void *arg)
{
	struct uffd_msg msg;

	(void)arg;
	for (;;)
		if (read(uffd, &msg, sizeof(msg)) == sizeof(msg) &&
		    msg.event == UFFD_EVENT_PAGEFAULT)
			resolve(msg.arg.pagefault.address, msg.arg.pagefault.flags);
	return NULL;
}

static int uffd_set_up(struct uffdio_range range, bool protect)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = range,
		.mode = UFFDIO_REGISTER_MODE_MISSING |
			(protect ? UFFDIO_REGISTER_MODE_WP : 0),
	};
	struct uffdio_writeprotect wp = {
		.range = range,
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	if (ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	if (protect && ioctl(uffd, UFFDIO_WRITEPROTECT, &wp))
		return -errno;
	return -thread_start(&resolver, resolver_main, NULL);
}

static int do_uffd(struct request *req)
{
	struct region *region = arg_region(req);
	struct uffdio_range range;
	size_t from, count;
	long long protect;
	int ret;

	if (!region || arg_range(req, region, &from, &count) ||
	    arg_num(req, "protect", 0, &protect))
		return -1;
	if (uffd >= 0)
		return refuse(req, "uffd: something is registered already");
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0)
		return refuse(req, "userfaultfd: %s", strerror(errno));
	range.start = (uintptr_t)region_page(region, from);
	range.len = count * page_size;
	ret = uffd_set_up(range, protect);
	if (ret) {
		close(uffd);
		uffd = -1;
		return refuse(req, "uffd %s: %s", region->name, strerror(-ret));
	}
	return 0;
}

static int do_uffd_faults(struct request *req)
{
	fprintf(req->out, " protected=%" PRIu64 " missing=%" PRIu64,
		atomic_load(&nr_protected), atomic_load(&nr_missing));
	return 0;
}

const struct verb uffd_verbs[] = {
	{ "uffd", do_uffd, "NAME [protect=1] [from= count=], for good" },
	{ "uffd-faults", do_uffd_faults, "" },
	{ 0 }
};
