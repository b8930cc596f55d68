// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: the kernel has references of its own to the pages. What it reads and
 * writes through them has to be what the process sees.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "numastress.h"

/* At most; a pin is longer than most moves take. */
#define PIN_REST_US	20000
#define PIN_PAGES	64
#define SPLICE_PAGES	8

/**
 * struct ring - an io_uring with one entry
 * @file: what is read from and written to
 */
struct ring {
	int fd;
	int file;
	struct io_uring_params params;
	unsigned char *queue;
	size_t queue_bytes;
	struct io_uring_sqe *entry;
};

static void ring_close(struct ring *ring)
{
	if (ring->entry)
		munmap(ring->entry, sizeof(*ring->entry));
	if (ring->queue)
		munmap(ring->queue, ring->queue_bytes);
	if (ring->file >= 0)
		close(ring->file);
	if (ring->fd >= 0)
		close(ring->fd);
}

static void *map_ring(const struct ring *ring, size_t bytes, off_t offset)
{
	void *addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, offset);

	return addr == MAP_FAILED ? NULL : addr;
}

/* Submissions and completions are in one mapping since 5.4. */
static int ring_open(struct ring *ring)
{
	*ring = (struct ring){ .fd = -1, .file = -1 };
	ring->fd = syscall(SYS_io_uring_setup, 1, &ring->params);
	ring->file = memfd_create("ring", MFD_CLOEXEC);
	if (ring->fd < 0 || ring->file < 0)
		return -errno;
	ring->queue_bytes = ring->params.cq_off.cqes +
			    ring->params.cq_entries * sizeof(struct io_uring_cqe);
	ring->queue = map_ring(ring, ring->queue_bytes, IORING_OFF_SQ_RING);
	ring->entry = map_ring(ring, sizeof(*ring->entry), IORING_OFF_SQES);
	return ring->queue && ring->entry ? 0 : -errno;
}

static _Atomic uint32_t *in_queue(struct ring *ring, uint32_t offset)
{
	return (_Atomic uint32_t *)(ring->queue + offset);
}

/* Read or write the registered buffer; what the completion says. */
static int ring_transfer(struct ring *ring, int opcode, void *addr, size_t bytes)
{
	struct io_uring_cqe *done = (void *)(ring->queue + ring->params.cq_off.cqes);
	uint32_t tail = atomic_load(in_queue(ring, ring->params.sq_off.tail));
	uint32_t head;

	*ring->entry = (struct io_uring_sqe){ .opcode = opcode,
					      .fd = ring->file,
					      .addr = (uintptr_t)addr,
					      .len = bytes };
	atomic_store(in_queue(ring, ring->params.sq_off.array), 0);
	atomic_store(in_queue(ring, ring->params.sq_off.tail), tail + 1);
	while (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		if (errno != EINTR)
			return -errno;
	head = atomic_load(in_queue(ring, ring->params.cq_off.head));
	done += head & atomic_load(in_queue(ring, ring->params.cq_off.ring_mask));
	atomic_store(in_queue(ring, ring->params.cq_off.head), head + 1);
	return done->res == (int)bytes ? 0 : done->res < 0 ? done->res : -EIO;
}

/* The kernel writes pages to the file through its pins. */
static int pinned_out(struct worker *w, struct ring *ring, size_t from, size_t count)
{
	uint64_t words[PAGE_WORDS];
	size_t page;
	int ret = ring_transfer(ring, IORING_OP_WRITE_FIXED, area_page(w->area, from),
				count * PAGE);

	for (page = 0; page < count && !ret; page++) {
		if (pread(ring->file, words, PAGE, page * PAGE) != (ssize_t)PAGE)
			return -EIO;
		if (!area_check_copy(w->area, from + page, words))
			break;
	}
	return ret;
}

/* The kernel reads new contents into the pages; then they are what the process has. */
static int pinned_in(struct worker *w, struct ring *ring, size_t from, size_t count)
{
	uint64_t words[PAGE_WORDS];
	size_t page;
	int ret;

	for (page = 0; page < count; page++) {
		area_compose(w->area, from + page, words);
		if (pwrite(ring->file, words, PAGE, page * PAGE) != (ssize_t)PAGE)
			return -EIO;
	}
	ret = ring_transfer(ring, IORING_OP_READ_FIXED, area_page(w->area, from), count * PAGE);
	if (ret) {
		area_flag(w->area, from, count, STATE_TORN);
		return ret;
	}
	for (page = from; page < from + count; page++)
		area_written(w->area, page);
	return 0;
}

static int pin_and_use(struct worker *w, struct ring *ring, struct random *r, size_t from,
		       size_t count)
{
	struct iovec iov = { area_page(w->area, from), count * PAGE };
	int ret;

	if (syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_BUFFERS, &iov, 1))
		return -errno;
	rest(r, PIN_REST_US);
	ret = pinned_out(w, ring, from, count);
	rest(r, PIN_REST_US);
	if (!ret)
		ret = pinned_in(w, ring, from, count);
	rest(r, PIN_REST_US);
	if (syscall(SYS_io_uring_register, ring->fd, IORING_UNREGISTER_BUFFERS, NULL, 0))
		return -errno;
	return ret;
}

static int op_pin(struct worker *w, struct random *r, size_t from, size_t count)
{
	struct ring ring;
	int ret = ring_open(&ring);

	if (count > PIN_PAGES)
		count = PIN_PAGES;
	if (!ret)
		ret = pin_and_use(w, &ring, r, from, count);
	ring_close(&ring);
	return ret;
}

/* A pipe holds the pages for a while; what comes out of it is what is in them. */
static int op_splice(struct worker *w, struct random *r, size_t from, size_t count)
{
	struct iovec iov = { area_page(w->area, from), 0 };
	uint64_t words[PAGE_WORDS];
	int pipefd[2], ret = 0;
	size_t page;

	if (count > SPLICE_PAGES)
		count = SPLICE_PAGES;
	iov.iov_len = count * PAGE;
	if (pipe2(pipefd, O_CLOEXEC))
		return -errno;
	if (vmsplice(pipefd[1], &iov, 1, 0) != (ssize_t)iov.iov_len)
		ret = -errno;
	rest(r, PIN_REST_US);
	for (page = from; page < from + count && !ret; page++) {
		if (read(pipefd[0], words, PAGE) != (ssize_t)PAGE)
			ret = -EIO;
		else if (!area_check_copy(w->area, page, words))
			break;
	}
	close(pipefd[0]);
	close(pipefd[1]);
	return ret;
}

/* References for a moment only. */
static int op_gup(struct worker *w, struct random *r, size_t from, size_t count)
{
	uint64_t words[PAGE_WORDS];
	struct iovec there, here = { words, PAGE };
	size_t page;

	(void)r;
	for (page = from; page < from + count; page++) {
		there = (struct iovec){ area_page(w->area, page), PAGE };
		if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != (ssize_t)PAGE)
			return -errno;
		if (!area_check_copy(w->area, page, words))
			break;
	}
	return 0;
}

const struct op pin_ops[] = {
	{ "pin", false, op_pin },
	{ "splice", false, op_splice },
	{ "gup", false, op_gup },
	{ 0 }
};
