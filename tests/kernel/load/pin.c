// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that cannot move: those pinned for long, as a device doing DMA has them,
 * here buffers registered with an io_uring; and the kernel's own that a process has
 * mapped, here the entries of an io_uring.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "numaload.h"

static int ring = -1;

static int do_pin(struct request *req)
{
	struct region *region = arg_region(req);
	struct io_uring_params params;
	struct iovec iov;
	size_t from, count;

	if (!region || arg_range(req, region, &from, &count))
		return -1;
	if (ring >= 0)
		return refuse(req, "pin: something is pinned already");
	memset(&params, 0, sizeof(params));
	ring = syscall(SYS_io_uring_setup, 1, &params);
	if (ring < 0)
		return refuse(req, "io_uring_setup: %s", strerror(errno));
	iov.iov_base = region_page(region, from);
	iov.iov_len = count * page_size;
	if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1)) {
		refuse(req, "IORING_REGISTER_BUFFERS: %s", strerror(errno));
		close(ring);
		ring = -1;
		return -1;
	}
	return 0;
}

static int do_unpin(struct request *req)
{
	if (ring < 0)
		return refuse(req, "unpin: nothing is pinned");
	if (syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0))
		return refuse(req, "IORING_UNREGISTER_BUFFERS: %s", strerror(errno));
	close(ring);
	ring = -1;
	return 0;
}

/* Both stay until the process ends. */
static int do_map_ring(struct request *req)
{
	struct io_uring_params params;
	size_t bytes;
	void *addr;
	int fd;

	memset(&params, 0, sizeof(params));
	fd = syscall(SYS_io_uring_setup, 1024, &params);
	if (fd < 0)
		return refuse(req, "io_uring_setup: %s", strerror(errno));
	bytes = params.sq_entries * sizeof(struct io_uring_sqe);
	addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    IORING_OFF_SQES);
	if (addr == MAP_FAILED) {
		refuse(req, "map-ring: %s", strerror(errno));
		close(fd);
		return -1;
	}
	fprintf(req->out, " addr=%#lx pages=%zu", (unsigned long)addr, bytes / page_size);
	return 0;
}

const struct verb pin_verbs[] = {
	{ "pin", do_pin, "NAME [from= count=]" },
	{ "unpin", do_unpin, "" },
	{ "map-ring", do_map_ring, "" },
	{ 0 }
};
