// SPDX-License-Identifier: GPL-2.0
/*
 * Churn: threads that change the address space all the time. Each has a patch of
 * private memory of its own, knows what every page of it must contain, and
 * checks every byte after each change.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "churn.h"
#include "numaload.h"

#define MAX_CHURNERS	16
#define SAMPLE_PAGES	64

struct op {
	const char *name;
	int (*fn)(struct churner *churner);
};

static struct churner churners[MAX_CHURNERS];
static int nr_churners;
static long churn_rest_us;
static atomic_bool churn_stop;

void patch_write(struct patch *patch, size_t from, size_t count)
{
	size_t page;

	patch->last += 2;
	for (page = from; page < from + count; page++) {
		pattern_put(patch_page(patch, page), patch->seed, page, patch->last);
		patch->expect[page] = patch->last;
	}
}

uint64_t patch_verify(const struct patch *patch, const char *who)
{
	uint64_t bad = 0, version;
	size_t page, word;

	for (page = 0; page < PATCH_PAGES; page++) {
		const uint64_t *p = patch_page(patch, page);

		version = patch->expect[page];
		word = version ? pattern_check(p, patch->seed, page, version) :
				 pattern_check_zero(p);
		if (word == page_words)
			continue;
		bad++;
		bad_page(who, page, word, p[word], 0, version);
	}
	return bad;
}

static void *map_patch(int prot)
{
	void *addr = mmap(NULL, PATCH_PAGES * page_size, prot,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return addr == MAP_FAILED ? NULL : addr;
}

static void check(struct churner *churner, const char *who)
{
	atomic_fetch_add(&churner->bad, patch_verify(&churner->patch, who));
}

void churn_pick_range(struct churner *churner, size_t *from, size_t *count)
{
	*from = random_next(&churner->random) % PATCH_PAGES;
	*count = 1 + random_next(&churner->random) % (PATCH_PAGES - *from);
}

/* A new mapping: fault every second page in, check the rest is zero, drop it. */
static int op_mmap(struct churner *churner)
{
	struct patch fresh = { .seed = churner->patch.seed + 1 };
	size_t page;

	fresh.addr = map_patch(PROT_READ | PROT_WRITE);
	if (!fresh.addr)
		return -errno;
	for (page = 0; page < PATCH_PAGES; page += 2)
		patch_write(&fresh, page, 1);
	atomic_fetch_add(&churner->bad, patch_verify(&fresh, "mmap"));
	munmap(fresh.addr, PATCH_PAGES * page_size);
	return 0;
}

static int op_dontneed(struct churner *churner)
{
	struct patch *patch = &churner->patch;
	size_t from, count;

	churn_pick_range(churner, &from, &count);
	if (madvise(patch_page(patch, from), count * page_size, MADV_DONTNEED))
		return -errno;
	memset(&patch->expect[from], 0, count * sizeof(patch->expect[0]));
	check(churner, "dontneed");
	patch_write(patch, from, count);
	return 0;
}

static int op_mprotect(struct churner *churner)
{
	struct patch *patch = &churner->patch;
	size_t from, count;

	churn_pick_range(churner, &from, &count);
	if (mprotect(patch_page(patch, from), count * page_size, PROT_READ))
		return -errno;
	check(churner, "mprotect");
	if (mprotect(patch_page(patch, from), count * page_size, PROT_READ | PROT_WRITE))
		return -errno;
	patch_write(patch, from, count);
	return 0;
}

static int op_mremap(struct churner *churner)
{
	struct patch *patch = &churner->patch;
	size_t bytes = PATCH_PAGES * page_size;
	unsigned char *to = map_patch(PROT_NONE);

	if (!to)
		return -errno;
	if (mremap(patch->addr, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
	    MAP_FAILED)
		return -errno;
	patch->addr = to;
	check(churner, "mremap");
	return 0;
}

static uint64_t verify_sample(struct churner *churner)
{
	struct tally tally = { 0 };
	struct region *region;
	size_t from;
	int i;

	for (i = 0; i < atomic_load(&nr_regions); i++) {
		region = &regions[i];
		if (!region->addr || region->kind->shared)
			continue;
		from = random_next(&churner->random) % region->pages;
		region_verify_snapshot(region, from, SAMPLE_PAGES, &tally);
	}
	return tally.bad;
}

/* The child checks its copy of the patch and of the regions, then goes. */
static int op_fork(struct churner *churner)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid) {
		uint64_t bad = patch_verify(&churner->patch, "fork");

		patch_write(&churner->patch, 0, PATCH_PAGES);
		bad += patch_verify(&churner->patch, "fork");
		bad += verify_sample(churner);
		_exit(bad ? 1 : 0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (status) {
		atomic_fetch_add(&churner->bad, 1);
		bad_page("fork-child", 0, 0, status, 0, 0);
	}
	check(churner, "fork-parent");
	patch_write(&churner->patch, 0, PATCH_PAGES);
	return 0;
}

/* Pages that may be dropped until they are written: each is as it was or empty. */
static int op_free(struct churner *churner)
{
	struct patch *patch = &churner->patch;
	size_t from, count, page;

	churn_pick_range(churner, &from, &count);
	if (madvise(patch_page(patch, from), count * page_size, MADV_FREE))
		return -errno;
	for (page = from; page < from + count; page++) {
		const uint64_t *p = patch_page(patch, page);

		if (pattern_check_zero(p) != page_words &&
		    pattern_check(p, patch->seed, page, patch->expect[page]) != page_words) {
			atomic_fetch_add(&churner->bad, 1);
			bad_page("free", page, 0, p[0], 0, patch->expect[page]);
		}
	}
	patch_write(patch, from, count);
	check(churner, "free");
	return 0;
}

/* To swap and back, where there is swap. */
static int op_pageout(struct churner *churner)
{
	struct patch *patch = &churner->patch;
	size_t from, count;

	churn_pick_range(churner, &from, &count);
	if (madvise(patch_page(patch, from), count * page_size, MADV_PAGEOUT))
		return -errno;
	check(churner, "pageout");
	patch_write(patch, from, count);
	return 0;
}

/* The kernel takes references of its own to the pages, for a moment. */
static int op_gup(struct churner *churner)
{
	struct patch *patch = &churner->patch;
	size_t bytes = PATCH_PAGES * page_size, page;
	struct patch copy = *patch;
	struct iovec from = { patch->addr, bytes }, to = { NULL, bytes };
	int ret = 0;

	patch_write(patch, 0, PATCH_PAGES);
	copy.addr = map_patch(PROT_READ | PROT_WRITE);
	if (!copy.addr)
		return -errno;
	to.iov_base = copy.addr;
	for (page = 0; page < PATCH_PAGES; page++)
		copy.expect[page] = patch->expect[page];
	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != (ssize_t)bytes)
		ret = -errno;
	else
		atomic_fetch_add(&churner->bad, patch_verify(&copy, "gup"));
	munmap(copy.addr, bytes);
	return ret;
}

/* Write-protect pages through userfaultfd, read them, lift it, write them. */
static int op_wp(struct churner *churner)
{
	struct patch *patch = &churner->patch;
	struct uffdio_range all = { (uintptr_t)patch->addr, PATCH_PAGES * page_size };
	struct uffdio_register reg = { .range = all, .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect wp = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	size_t from, count;
	int ret = 0;

	if (fd < 0)
		return -errno;
	churn_pick_range(churner, &from, &count);
	wp.range.start = (uintptr_t)patch_page(patch, from);
	wp.range.len = count * page_size;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    ioctl(fd, UFFDIO_WRITEPROTECT, &wp))
		ret = -errno;
	check(churner, "wp");
	wp.mode = 0;
	if (!ret && (ioctl(fd, UFFDIO_WRITEPROTECT, &wp) ||
		     ioctl(fd, UFFDIO_UNREGISTER, &all)))
		ret = -errno;
	close(fd);
	patch_write(patch, from, count);
	return ret;
}

static const struct op ops[] = {
	{ "mmap", op_mmap },
	{ "dontneed", op_dontneed },
	{ "mprotect", op_mprotect },
	{ "mremap", op_mremap },
	{ "fork", op_fork },
	{ "free", op_free },
	{ "gup", op_gup },
	{ "wp", op_wp },
	{ "pageout", op_pageout },
	{ "file", churn_file },
};

#define NR_OPS (sizeof(ops) / sizeof(ops[0]))

static void *churn_main(void *arg)
{
	struct churner *churner = arg;
	unsigned int i = 0;
	int ret;

	while (!atomic_load(&churn_stop)) {
		i = (i + 1) % NR_OPS;
		if (!(churner->ops >> i & 1))
			continue;
		ret = ops[i].fn(churner);
		if (ret) {
			atomic_store(&churner->error, -ret);
			break;
		}
		atomic_fetch_add(&churner->done, 1);
		if (churn_rest_us)
			usleep(churn_rest_us);
	}
	return NULL;
}

static int parse_ops(struct request *req, unsigned int *mask)
{
	char text[128], *save, *word;
	size_t i;

	snprintf(text, sizeof(text), "%s", arg_str(req, "ops", ""));
	*mask = 0;
	for (word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		for (i = 0; i < NR_OPS && strcmp(ops[i].name, word); i++)
			;
		if (i == NR_OPS)
			return refuse(req, "churn: ops=%s is not known", word);
		*mask |= 1U << i;
	}
	if (!*mask)
		*mask = (1U << NR_OPS) - 1;
	return 0;
}

static int start_one(struct churner *churner, unsigned int mask)
{
	memset(churner, 0, sizeof(*churner));
	churner->fd = -1;
	churner->ops = mask;
	churner->random = 0x9fb21c651e98df25ULL * (nr_churners + 1) + getpid();
	churner->patch.seed = churner->random;
	churner->patch.addr = map_patch(PROT_READ | PROT_WRITE);
	if (!churner->patch.addr)
		return errno;
	patch_write(&churner->patch, 0, PATCH_PAGES);
	return thread_start(&churner->thread, churn_main, churner);
}

static int do_churn(struct request *req)
{
	long long count, rest;
	unsigned int mask;
	int ret;

	if (arg_num(req, "threads", 1, &count) || arg_num(req, "rest", 0, &rest) ||
	    parse_ops(req, &mask))
		return -1;
	churn_rest_us = rest;
	snprintf(churn_dir, sizeof(churn_dir), "%s", arg_str(req, "path", ""));
	while (count-- > 0) {
		if (nr_churners == MAX_CHURNERS)
			return refuse(req, "no more than %d churners", MAX_CHURNERS);
		ret = start_one(&churners[nr_churners], mask);
		if (ret)
			return refuse(req, "cannot start churning: %s", strerror(ret));
		nr_churners++;
	}
	return 0;
}

bool churn_running(void)
{
	return nr_churners > 0;
}

static int do_calm(struct request *req)
{
	uint64_t done = 0, bad = 0;
	int error = 0, i;

	atomic_store(&churn_stop, true);
	for (i = 0; i < nr_churners; i++) {
		struct churner *churner = &churners[i];

		pthread_join(churner->thread, NULL);
		check(churner, "churn");
		munmap(churner->patch.addr, PATCH_PAGES * page_size);
		churn_file_end(churner);
		done += churner->done;
		bad += churner->bad;
		error = error ? error : churner->error;
	}
	atomic_store(&churn_stop, false);
	nr_churners = 0;
	fprintf(req->out, " done=%" PRIu64 " bad=%" PRIu64, done, bad);
	if (bad) {
		fputs(" first=", req->out);
		bad_pages_print(req->out);
	}
	if (error)
		return refuse(req, "churn stopped: %s", strerror(error));
	return 0;
}

const struct verb churn_verbs[] = {
	{ "churn", do_churn,
	  "[threads=N] [ops=mmap,dontneed,mprotect,mremap,fork,free,gup,wp,pageout] "
	  "[rest=USEC]" },
	{ "calm", do_calm, "" },
	{ 0 }
};
