// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that follows its cpuset, seen from outside: where pages are after a
 * change of nodes, who waits, and what the files say.
 *
 * A child of two threads has one half of a region on one node and the other
 * half on another.  The parent changes the nodes and asks move_pages() where the
 * pages are, and the child whether they still are what it wrote.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../kselftest.h"
#include "cgroup_util.h"

#define NR_NODES	4		/* that the tests need */
#define MAX_NODES	1024		/* that a machine may have */
#define REGION		MB(4UL)
#define TIMEOUT_SEC	60

#define STAT		"cpuset.mems.stat"
#define EVENTS		"cpuset.mems.events"
#define HOLD		"cpuset.mems.migrate.hold"
#define MAX		"cpuset.mems.migrate.max"
#define STOP		"cpuset.mems.migrate.stop"
#define SETTLE		"cpuset.mems.migrate.settle"

static int node[NR_NODES];
static long page_size, nr_pages;

/**
 * struct job - a process whose memory is to move
 * @from: its cgroup, on the first two nodes
 * @to: another one, on the last two
 * @mem: its region; mapped here too, but without pages
 * @pid: the process
 * @ask: takes a byte that asks it to look at its pages
 * @answer: where it says 1 if they are as they should be, else 0
 */
struct job {
	char *from;
	char *to;
	char *mem;
	pid_t pid;
	int ask;
	int answer;
};

/* Find @nr nodes with memory.  Returns how many there are, up to @nr. */
static int find_nodes(int *nodes, int nr)
{
	char buf[PAGE_SIZE], *pos = buf;
	int found = 0, first, last, len;

	if (read_text("/sys/devices/system/node/has_memory", buf,
		      sizeof(buf)) <= 0)
		return 0;

	while (sscanf(pos, "%d%n", &first, &len) == 1) {
		pos += len;
		last = first;
		if (sscanf(pos, "-%d%n", &last, &len) == 1)
			pos += len;
		for (; first <= last && found < nr; first++)
			nodes[found++] = first;
		if (*pos++ != ',')
			break;
	}
	return found;
}

/* Write the nodes @a and @b to @cgroup.  @flags: O_NONBLOCK, or 0. */
static int write_mems(const char *cgroup, int a, int b, int flags)
{
	char buf[32];
	int fd, len, ret;

	len = snprintf(buf, sizeof(buf), "%d,%d", a, b);
	fd = cg_open(cgroup, "cpuset.mems", O_WRONLY | flags);
	if (fd < 0)
		return -1;
	ret = write(fd, buf, len) == len ? 0 : -1;
	close(fd);
	return ret;
}

/* A word of a page: no other page has it there. */
static long word_of(long page, long word)
{
	return (page + 1) * page_size + word;
}

static long *page_at(char *mem, long page)
{
	return (long *)(mem + page * page_size);
}

/* Write @nr pages of the region at @mem, so that they are on node @nid. */
static int fill_on(char *mem, long first, long nr, int nid)
{
	long page, word;
	unsigned long mask[MAX_NODES / (8 * sizeof(long))] = {};
	unsigned long bits = 8 * sizeof(long);

	mask[nid / bits] = 1UL << nid % bits;
	if (syscall(__NR_set_mempolicy, MPOL_BIND, mask, MAX_NODES))
		return -1;
	for (page = first; page < first + nr; page++)
		for (word = 0; word < page_size / (long)sizeof(long); word++)
			page_at(mem, page)[word] = word_of(page, word);
	return syscall(__NR_set_mempolicy, MPOL_DEFAULT, NULL, 0);
}

/* Is every page of the region at @mem what was written? */
static bool is_intact(char *mem)
{
	long page, word;

	for (page = 0; page < nr_pages; page++)
		for (word = 0; word < page_size / (long)sizeof(long); word++)
			if (page_at(mem, page)[word] != word_of(page, word))
				return false;
	return true;
}

static void *wait_for_signal(void *arg)
{
	pause();
	return NULL;
}

/* The child, with two threads: looks at its memory whenever it is asked. */
static void run_job(const struct job *job, int asked, int answer)
{
	pthread_t thread;
	char byte;

	if (fill_on(job->mem, 0, nr_pages / 2, node[0]) ||
	    fill_on(job->mem, nr_pages / 2, nr_pages / 2, node[1]))
		exit(1);
	if (pthread_create(&thread, NULL, wait_for_signal, NULL))
		exit(1);
	while (read(asked, &byte, 1) == 1) {
		byte = is_intact(job->mem);
		if (write(answer, &byte, 1) != 1)
			break;
	}
	exit(0);
}

/* Does the child find what it wrote? */
static bool has_kept(const struct job *job)
{
	char byte = 0;

	if (write(job->ask, &byte, 1) != 1 || read(job->answer, &byte, 1) != 1)
		return false;
	if (!byte)
		ksft_print_msg("the contents of pages have changed\n");
	return byte;
}

static int fork_job(struct job *job)
{
	int ask[2], answer[2];

	if (pipe(ask))
		return -1;
	job->ask = ask[1];
	if (pipe(answer)) {
		close(ask[0]);
		return -1;
	}
	job->answer = answer[0];

	job->pid = fork();
	if (!job->pid) {
		close(ask[1]);
		if (cg_enter_current(job->from))
			exit(1);
		run_job(job, ask[0], answer[1]);
	}

	close(ask[0]);
	close(answer[1]);
	/* Once it can say so, its memory and threads are there. */
	return job->pid > 0 && has_kept(job) ? 0 : -1;
}

/* Where all pages of each half of the region are: the nodes @a and @b? */
static bool is_on(const struct job *job, int a, int b)
{
	void *pages[nr_pages];
	int status[nr_pages];
	long i;

	for (i = 0; i < nr_pages; i++)
		pages[i] = job->mem + i * page_size;
	if (syscall(__NR_move_pages, job->pid, nr_pages, pages, NULL, status,
		    0))
		return false;

	for (i = 0; i < nr_pages; i++) {
		int want = i < nr_pages / 2 ? a : b;

		if (status[i] != want) {
			ksft_print_msg("page %ld of %ld: on %d, wanted %d\n", i,
				       nr_pages, status[i], want);
			return false;
		}
	}
	return true;
}

static void end_job(struct job *job)
{
	if (job->pid > 0) {
		kill(job->pid, SIGKILL);
		waitpid(job->pid, NULL, 0);
	}
	close(job->ask);
	close(job->answer);
	if (job->mem != MAP_FAILED)
		munmap(job->mem, REGION);
	cg_destroy(job->from);
	cg_destroy(job->to);
	free(job->from);
	free(job->to);
}

static int start_job(struct job *job, const char *root)
{
	job->pid = -1;
	job->ask = -1;
	job->answer = -1;
	job->from = cg_name(root, "cpuset_migrate_from");
	job->to = cg_name(root, "cpuset_migrate_to");
	job->mem = mmap(NULL, REGION, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (job->mem == MAP_FAILED)
		return -1;
	/* Each page is to be looked at by itself. */
	madvise(job->mem, REGION, MADV_NOHUGEPAGE);

	if (cg_create(job->from) || cg_create(job->to) ||
	    write_mems(job->from, node[0], node[1], 0) ||
	    write_mems(job->to, node[2], node[3], 0))
		return -1;
	if (fork_job(job))
		return -1;
	return is_on(job, node[0], node[1]) ? 0 : -1;
}

/* Does the kernel have the files that tell of migration, and control it? */
static bool has_files(const char *root)
{
	char *cgroup = cg_name(root, "cpuset_migrate_probe"), *path;
	bool has = false;

	if (!cg_create(cgroup)) {
		path = cg_control(cgroup, STAT);
		has = !access(path, R_OK);
		free(path);
		cg_destroy(cgroup);
	}
	free(cgroup);
	return has;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static long stat_of(const struct job *job, const char *key)
{
	return cg_read_key_long(job->from, STAT, key);
}

/* Wait until no address space of the job's cgroup is being moved. */
static int wait_idle(const struct job *job)
{
	double end = now() + TIMEOUT_SEC;

	while (stat_of(job, "migrate_pending ")) {
		if (now() > end)
			return -1;
		usleep(10000);
	}
	return 0;
}

/* The page on the n-th old node goes to the n-th new one. */
static bool test_mems(const struct job *job)
{
	return !write_mems(job->from, node[2], node[3], 0) &&
	       is_on(job, node[2], node[3]);
}

static bool test_attach(const struct job *job)
{
	return !cg_enter(job->to, job->pid) && is_on(job, node[2], node[3]);
}

/* A node that is old and new: no page goes on from there, for any thread. */
static bool test_overlap(const struct job *job)
{
	return !write_mems(job->from, node[1], node[2], 0) &&
	       is_on(job, node[1], node[2]);
}

/* Is @text refused, and does it change nothing? */
static bool is_refused(const char *cgroup, const char *file, char *text,
		       bool readable)
{
	char before[64] = "", after[64] = "";
	int ret;

	if (readable && cg_read(cgroup, file, before, sizeof(before)))
		return false;
	ret = cg_write(cgroup, file, text);
	if (readable && cg_read(cgroup, file, after, sizeof(after)))
		return false;
	if (ret == -EINVAL && !strcmp(before, after))
		return true;
	ksft_print_msg("%s: '%s' gave %d, and '%s' became '%s'\n", file, text,
		       ret, before, after);
	return false;
}

static bool test_bad_input(const struct job *job)
{
	static char * const flag[] = { "2", "-1", "x", "1 1" };
	static char * const size[] = { "-1", "x", "1Q", "1 1", "0x10", "maxx",
				       "99999999999999999999" };
	bool refused = is_refused(job->from, STOP, "0", false) &&
		       is_refused(job->from, SETTLE, "0", false);
	int i;

	for (i = 0; i < ARRAY_SIZE(flag); i++)
		refused = is_refused(job->from, HOLD, flag[i], true) &&
			  is_refused(job->from, STOP, flag[i], false) &&
			  is_refused(job->from, SETTLE, flag[i], false) &&
			  refused;
	for (i = 0; i < ARRAY_SIZE(size); i++)
		refused = is_refused(job->from, MAX, size[i], true) && refused;
	return refused;
}

/* The outcomes add up, and so do starts and ends. */
static bool adds_up(const struct job *job)
{
	static const char * const outcome[] = {
		"migrate_moved ", "migrate_inplace ", "migrate_gone ",
		"migrate_swapped ", "migrate_skip_vma ", "migrate_skip_exempt ",
		"migrate_skip_shared ", "migrate_fail_nomem ",
		"migrate_fail_pinned ", "migrate_fail_busy ",
		"migrate_fail_fs ", "migrate_fail_nonlru ",
		"migrate_fail_hugetlb ",
	};
	long sum = 0, scanned = stat_of(job, "migrate_scanned "), ended, i;

	for (i = 0; i < ARRAY_SIZE(outcome); i++)
		sum += stat_of(job, outcome[i]);
	ended = cg_read_key_long(job->from, EVENTS, "migrate_done ") +
		cg_read_key_long(job->from, EVENTS, "migrate_partial ") +
		cg_read_key_long(job->from, EVENTS, "migrate_stopped ");
	ksft_print_msg("scanned %ld, sum %ld, moved %ld, ended %ld\n", scanned,
		       sum, stat_of(job, "migrate_moved "), ended);
	return scanned == sum &&
	       ended == cg_read_key_long(job->from, EVENTS, "migrate_start ");
}

/* One address space more, with all pages of the region. */
static bool test_account(const struct job *job)
{
	long total, moved;

	if (wait_idle(job))
		return false;
	total = stat_of(job, "migrate_total ");
	moved = stat_of(job, "migrate_moved ");
	if (write_mems(job->from, node[2], node[3], 0) || wait_idle(job))
		return false;
	total = stat_of(job, "migrate_total ") - total;
	moved = stat_of(job, "migrate_moved ") - moved;
	ksft_print_msg("%ld address spaces, %ld pages moved\n", total, moved);
	return total == 1 && moved >= nr_pages && adds_up(job);
}

/* A writer does not wait for a job that is held; it goes on when let go. */
static bool test_hold(const struct job *job)
{
	if (cg_write(job->from, HOLD, "1") ||
	    write_mems(job->from, node[2], node[3], 0) ||
	    stat_of(job, "migrate_held ") != 1 || !is_on(job, node[0], node[1]))
		return false;
	return !cg_write(job->from, HOLD, "0") && !wait_idle(job) &&
	       is_on(job, node[2], node[3]);
}

/* What a job that was stopped left behind is brought in by settle. */
static bool test_stop_settle(const struct job *job)
{
	if (cg_write(job->from, HOLD, "1") ||
	    write_mems(job->from, node[2], node[2], 0) ||
	    cg_write(job->from, STOP, "1") || wait_idle(job) ||
	    cg_read_key_long(job->from, EVENTS, "migrate_stopped ") != 1 ||
	    stat_of(job, "migrate_left ") < nr_pages ||
	    !is_on(job, node[0], node[1]))
		return false;
	return !cg_write(job->from, HOLD, "0") &&
	       !cg_write(job->from, SETTLE, "1") &&
	       is_on(job, node[2], node[2]) && adds_up(job);
}

/* A limit reads back in bytes, and is kept. */
static bool test_max(const struct job *job)
{
	double start, took;

	if (cg_read_strcmp(job->from, MAX, "max\n") ||
	    cg_write(job->from, MAX, "2M") ||
	    cg_read_strcmp(job->from, MAX, "2097152\n"))
		return false;

	start = now();
	if (write_mems(job->from, node[2], node[3], 0))
		return false;
	took = now() - start;
	ksft_print_msg("%lu bytes at 2 MiB/s took %.2f s\n", REGION, took);
	/* A tenth of a second's worth may have been saved up. */
	return took >= (double)REGION / MB(2) - 0.2 &&
	       is_on(job, node[2], node[3]);
}

/* With O_NONBLOCK a write returns while a slow job is still at work. */
static bool test_nonblock(const struct job *job)
{
	double start, took;

	/* That would take 64 seconds. */
	if (cg_write(job->from, MAX, "64K"))
		return false;
	start = now();
	if (write_mems(job->from, node[2], node[3], O_NONBLOCK))
		return false;
	took = now() - start;
	ksft_print_msg("returned after %.3f s\n", took);
	return took < 5 && stat_of(job, "migrate_pending ") == 1 &&
	       !cg_write(job->from, MAX, "max") && !wait_idle(job) &&
	       is_on(job, node[2], node[3]);
}

/**
 * struct test - what is tested
 * @name: its name
 * @fn: the test: is all well?
 */
struct test {
	const char *name;
	bool (*fn)(const struct job *job);
};

#define T(fn) { #fn, fn }

static const struct test tests[] = {
	T(test_mems),
	T(test_attach),
	T(test_overlap),
	T(test_bad_input),
	T(test_account),
	T(test_hold),
	T(test_stop_settle),
	T(test_max),
	T(test_nonblock),
};

#undef T

static int run_test(const struct test *test, const char *root)
{
	struct job job;
	int ret = KSFT_FAIL;

	if (start_job(&job, root))
		ksft_print_msg("the job did not start\n");
	else if (test->fn(&job) && has_kept(&job))
		ret = KSFT_PASS;
	end_job(&job);
	return ret;
}

int main(int argc, char *argv[])
{
	char root[PATH_MAX];
	int i;

	ksft_print_header();
	if (geteuid())
		ksft_exit_skip("not run as root\n");
	if (cg_find_unified_root(root, sizeof(root), NULL))
		ksft_exit_skip("cgroup v2 isn't mounted\n");
	if (cg_read_strstr(root, "cgroup.controllers", "cpuset"))
		ksft_exit_skip("cpuset controller isn't available\n");
	if (find_nodes(node, NR_NODES) < NR_NODES)
		ksft_exit_skip("fewer than %d nodes with memory\n", NR_NODES);
	if (cg_read_strstr(root, "cgroup.subtree_control", "cpuset"))
		if (cg_write(root, "cgroup.subtree_control", "+cpuset"))
			ksft_exit_skip("Failed to set cpuset controller\n");
	if (!has_files(root))
		ksft_exit_skip("no cpuset memory migration\n");

	/* A child that could not start does not end the test. */
	signal(SIGPIPE, SIG_IGN);
	page_size = sysconf(_SC_PAGESIZE);
	nr_pages = REGION / page_size;
	ksft_set_plan(ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		ksft_test_result_report(run_test(&tests[i], root), "%s\n",
					tests[i].name);
	ksft_finished();
}
