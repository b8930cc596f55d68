// SPDX-License-Identifier: GPL-2.0
/*
 * Long-term pins, as a device doing DMA holds them: buffers registered with an
 * io_uring. Such pages cannot move.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
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

const struct verb pin_verbs[] = {
	{ "pin", do_pin, "NAME [from= count=]" },
	{ "unpin", do_unpin, "" },
	{ 0 }
};
