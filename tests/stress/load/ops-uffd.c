// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: userfaultfd. A thread resolves what the worker itself runs into.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numastress.h"

#define REST_US		3000

/**
 * struct watch - a range that is registered
 * @mode: UFFDIO_REGISTER_MODE_*
 * @fill: what a missing page gets
 */
struct watch {
	struct area *area;
	struct uffdio_range range;
	uint64_t mode;
	int fd;
	pthread_t thread;
	atomic_bool stop;
	uint64_t fill[PAGE_WORDS];
};

static void fill_missing(struct watch *watch, uint64_t address)
{
	size_t page = (address - (uintptr_t)area_page(watch->area, 0)) / PAGE;
	struct uffdio_copy copy = { .dst = address & -PAGE, .src = (uintptr_t)watch->fill,
				    .len = PAGE };
	int tries = 0, ret;

	area_fill_base(watch->area, page, watch->fill);
	do {
		ret = ioctl(watch->fd, UFFDIO_COPY, &copy);
	} while (ret && errno == ENOMEM && rest_for_memory(&tries));
	/* EEXIST: two threads had the same fault. */
	if (ret && errno != EEXIST && errno != EAGAIN)
		board_fail("UFFDIO_COPY to page %zu: error %d", page, errno);
}

static void lift(struct watch *watch, uint64_t address)
{
	struct uffdio_writeprotect wp = { .range = { address & -PAGE, PAGE } };

	if (ioctl(watch->fd, UFFDIO_WRITEPROTECT, &wp) && errno != EAGAIN)
		board_fail("UFFDIO_WRITEPROTECT at %#llx: error %d",
			   (unsigned long long)address, errno);
}

static void *resolve_main(void *arg)
{
	struct watch *watch = arg;
	struct pollfd ready = { .fd = watch->fd, .events = POLLIN };
	struct uffd_msg msg;

	while (!atomic_load(&watch->stop)) {
		if (poll(&ready, 1, 5) != 1 || read(watch->fd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
			lift(watch, msg.arg.pagefault.address);
		else
			fill_missing(watch, msg.arg.pagefault.address);
	}
	return NULL;
}

static int watch_start(struct watch *watch)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range = watch->range, .mode = watch->mode };

	watch->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (watch->fd < 0)
		return -errno;
	if (ioctl(watch->fd, UFFDIO_API, &api) || ioctl(watch->fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return -pthread_create(&watch->thread, NULL, resolve_main, watch);
}

static int watch_end(struct watch *watch)
{
	int ret = 0;

	if (ioctl(watch->fd, UFFDIO_UNREGISTER, &watch->range))
		ret = -errno;
	atomic_store(&watch->stop, true);
	pthread_join(watch->thread, NULL);
	close(watch->fd);
	return ret;
}

static struct watch watch_of(struct worker *w, size_t from, size_t count, uint64_t mode)
{
	return (struct watch){ .area = w->area,
			       .range = { (uintptr_t)area_page(w->area, from), count * PAGE },
			       .mode = mode,
			       .fd = -1 };
}

/* Protected pages are read, and written, which takes the protection away. */
static int op_wp(struct worker *w, struct random *r, size_t from, size_t count)
{
	struct watch watch = watch_of(w, from, count, UFFDIO_REGISTER_MODE_WP);
	struct uffdio_writeprotect wp = { .range = watch.range,
					  .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	int ret = watch_start(&watch), end;

	if (ret) {
		close(watch.fd);
		return ret;
	}
	if (ioctl(watch.fd, UFFDIO_WRITEPROTECT, &wp))
		ret = -errno;
	rest(r, REST_US);
	if (area_check_locked(w->area, from, count))
		area_write(w->area, from, 1 + random_below(r, count));
	rest(r, REST_US);
	end = watch_end(&watch);
	return ret ? ret : end;
}

/* Pages that are gone come from the thread: their first generation. */
static int op_missing(struct worker *w, struct random *r, size_t from, size_t count)
{
	struct watch watch = watch_of(w, from, count, UFFDIO_REGISTER_MODE_MISSING);
	int ret = watch_start(&watch), end;

	if (ret) {
		close(watch.fd);
		return ret;
	}
	if (madvise((void *)(uintptr_t)watch.range.start, watch.range.len, MADV_DONTNEED)) {
		ret = -errno;
	} else {
		area_refilled(w->area, from, count);
		area_check_locked(w->area, from, count);
	}
	rest(r, REST_US);
	end = watch_end(&watch);
	return ret ? ret : end;
}

const struct op uffd_ops[] = {
	{ "wp", false, op_wp },
	{ "missing", false, op_missing },
	{ 0 }
};
