// SPDX-License-Identifier: GPL-2.0
/*
 * One kind of memory, moved one way, again and again: without a probe, which gives the
 * speed, and with each probe, which gives the stalls. Every move is checked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define IDLE_MS 100		/* a probe runs so long before the move */
#define NO_PROBE BENCH_PROBES

/* The durations of one probe in one run, in ns. */
struct measure {
	uint64_t samples;
	uint64_t p50, p99, p999, max;
};

struct run {
	uint64_t ns;
	uint64_t moved;
	struct measure idle[BENCH_PROBES];
	struct measure moving[BENCH_PROBES];
};

struct series {
	struct bench *bench;
	enum bench_kind kind;
	enum bench_way way;
	uint64_t rate;
	uint64_t size;
	uint64_t stayed;	/* the most bytes that a move did not bring there */
	uint64_t huge;		/* bytes in huge pages before and after the moves */
	uint64_t huge_after;
	struct bench_load *load;
	struct bench_cgroup *cgroup;
	struct stalls *idle, *moving;
	struct run *runs;
	unsigned int count;
	double *values;		/* room for one of each run */
};

/* ---- measuring ---- */

static void sum_up(const struct stalls *stalls, struct measure *out)
{
	out->samples = stalls->count;
	out->p50 = stalls_quantile(stalls, 500);
	out->p99 = stalls_quantile(stalls, 990);
	out->p999 = stalls_quantile(stalls, 999);
	out->max = stalls->max;
}

static int limit(struct series *series, uint64_t rate)
{
	if (!series->rate || series->way != BENCH_CPUSET)
		return 0;
	return bench_cgroup_limit(series->bench, series->cgroup, rate);
}

/* There, with the limit, or back, without. */
static int move(struct series *series, bool back, uint64_t *ns)
{
	struct bench_mover mover = {
		.bench = series->bench,
		.load = series->load,
		.cgroup = series->cgroup,
		.way = series->way,
		.rate = back ? 0 : series->rate,
	};
	int err = limit(series, mover.rate);

	return err ? err : bench_move(&mover, back, ns);
}

/* What came with the move, and that it is what it was. */
static int check(struct series *series, uint64_t before, uint64_t *moved)
{
	struct bench_where where;
	int err = bench_load_verify(series->load);

	if (!err)
		err = bench_load_where(series->load, &where);
	if (err)
		return err;
	*moved = where.to > before ? where.to - before : 0;
	if (series->size - where.to > series->stayed)
		series->stayed = series->size - where.to;
	series->huge_after = where.huge;
	if (!*moved)
		return bench_error(series->bench, -ENODATA, "nothing moved");
	return 0;
}

/* One move there, and back again. */
static int there_and_back(struct series *series, enum bench_probe probe, struct run *run)
{
	struct bench_where before;
	uint64_t ns = 0, moved, back;
	int err = bench_load_where(series->load, &before);

	if (!err && probe != NO_PROBE)
		err = bench_load_probe(series->load, probe) ?:
		      bench_rest(series->bench, IDLE_MS);
	if (!err)
		err = move(series, false, &ns);
	if (!err && probe != NO_PROBE)
		err = bench_load_probed(series->load, series->idle, series->moving);
	if (!err)
		err = check(series, before.to, &moved);
	if (err)
		return err;
	if (probe == NO_PROBE) {
		run->ns = ns;
		run->moved = moved;
	} else {
		sum_up(series->idle, &run->idle[probe]);
		sum_up(series->moving, &run->moving[probe]);
	}
	return move(series, true, &back);
}

static void show_progress(const struct series *series)
{
	if (series->bench->app->json || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r  %s by %s%s: %u of %u\033[K", bench_kind_name(series->kind),
		bench_way_name(series->way), series->rate ? " with a limit" : "",
		series->count + 1, series->bench->repeat);
	fflush(stderr);
}

static int repeat(struct series *series)
{
	int err = 0;

	for (; series->count < series->bench->repeat && !err; series->count += !err) {
		struct run *run = &series->runs[series->count];

		show_progress(series);
		err = there_and_back(series, NO_PROBE, run);
		for (int probe = 0; probe < BENCH_PROBES && !err; probe++)
			err = there_and_back(series, probe, run);
	}
	return err;
}

static int prepare(struct series *series)
{
	struct bench *bench = series->bench;
	struct bench_where where;
	int err = 0;

	series->runs = calloc(bench->repeat, sizeof(*series->runs));
	series->values = calloc(bench->repeat, sizeof(*series->values));
	series->idle = calloc(1, sizeof(*series->idle));
	series->moving = calloc(1, sizeof(*series->moving));
	if (!series->runs || !series->values || !series->idle || !series->moving)
		return bench_error(bench, -ENOMEM, "out of memory");
	if (series->way == BENCH_CPUSET)
		err = bench_cgroup_make(bench, &series->cgroup);
	if (!err)
		err = bench_load_start(bench, series->kind, series->size, &series->load);
	if (!err && series->cgroup)
		err = bench_cgroup_attach(bench, series->cgroup,
					  bench_load_pid(series->load));
	if (!err)
		err = bench_load_fill(series->load);
	if (!err)
		err = bench_load_where(series->load, &where);
	if (err)
		return err;
	series->huge = where.huge;
	if (where.from < series->size)
		return bench_error(bench, -ENOMEM, "only %llu of %llu bytes came to be on the old nodes",
				   (unsigned long long)where.from,
				   (unsigned long long)series->size);
	if (series->kind == BENCH_THP && !where.huge)
		return bench_error(bench, -ENOMEM,
				   "the kernel found no huge page, so this would be anon");
	return 0;
}

/* ---- the account ---- */

static int by_number(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(const struct series *series)
{
	double *values = series->values;
	unsigned int count = series->count;

	qsort(values, count, sizeof(*values), by_number);
	return count % 2 ? values[count / 2] :
			   (values[count / 2 - 1] + values[count / 2]) / 2;
}

static uint64_t member(const struct run *run, enum bench_probe probe, bool moving,
		       size_t offset)
{
	const struct measure *m = moving ? &run->moving[probe] : &run->idle[probe];

	return *(const uint64_t *)((const char *)m + offset);
}

static double median_of(const struct series *series, enum bench_probe probe, bool moving,
			size_t offset)
{
	for (unsigned int i = 0; i < series->count; i++)
		series->values[i] = member(&series->runs[i], probe, moving, offset);
	return median(series);
}

/* Medians of the runs; times in usec. */
static json_t *json_measure(const struct series *series, enum bench_probe probe,
			    bool moving)
{
	static const struct {
		const char *name;
		size_t offset;
	} parts[] = {
		{ "p50", offsetof(struct measure, p50) },
		{ "p99", offsetof(struct measure, p99) },
		{ "p999", offsetof(struct measure, p999) },
		{ "max", offsetof(struct measure, max) },
	};
	json_t *object = json_object();
	double count = median_of(series, probe, moving, offsetof(struct measure, samples));

	json_object_set_new(object, "samples", json_integer(count));
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		json_object_set_new(object, parts[i].name,
			json_real(median_of(series, probe, moving, parts[i].offset) / 1e3));
	return object;
}

static json_t *json_stall(const struct series *series, enum bench_probe probe)
{
	json_t *object = json_measure(series, probe, true);

	json_object_set_new(object, "idle", json_measure(series, probe, false));
	return object;
}

/* Speed, time for a page, and the runs they are the medians of. */
static void add_speed(const struct series *series, json_t *object)
{
	double page = sysconf(_SC_PAGESIZE), usec;
	json_t *runs = json_array();

	for (unsigned int i = 0; i < series->count; i++) {
		const struct run *run = &series->runs[i];

		series->values[i] = run->ns / 1e3 / (run->moved / page);
		json_array_append_new(runs, json_pack("{s:I, s:f}", "bytes",
						      (json_int_t)run->moved, "usec",
						      run->ns / 1e3));
	}
	usec = median(series);
	json_object_set_new(object, "bytes_per_second", json_integer(page * 1e6 / usec));
	json_object_set_new(object, "time_per_page", json_real(usec));
	json_object_set_new(object, "runs", runs);
}

static json_t *json_series(const struct series *series)
{
	json_t *object = json_pack("{s:s, s:s, s:o, s:I, s:I, s:b}", "kind",
				   bench_kind_name(series->kind), "way",
				   bench_way_name(series->way), "rate",
				   series->rate ? json_integer(series->rate) : json_null(),
				   "bytes", (json_int_t)series->size, "stayed",
				   (json_int_t)series->stayed, "verified", 1);

	if (series->kind == BENCH_THP)
		json_object_set_new(object, "huge", json_pack("{s:I, s:I}", "before",
			(json_int_t)series->huge, "after", (json_int_t)series->huge_after));
	add_speed(series, object);
	json_object_set_new(object, "touch_stall", json_stall(series, BENCH_TOUCH));
	json_object_set_new(object, "mmap_stall", json_stall(series, BENCH_MMAP));
	return object;
}

/*
 * 0, or -errno with the reason kept. -EINTR: told to stop; -EILSEQ: bytes are wrong;
 * -EMEDIUMTYPE: there is no such memory here, whatever the way. Nothing is left behind.
 */
int bench_series(struct bench *bench, enum bench_kind kind, enum bench_way way,
		 uint64_t rate)
{
	struct series series = {
		.bench = bench,
		.kind = kind,
		.way = way,
		.rate = rate,
		.size = bench_size(bench, kind),
	};
	int err = prepare(&series);

	if (!err)
		err = repeat(&series);
	bench_load_end(series.load);
	bench_cgroup_remove(bench, series.cgroup);
	if (!err)
		json_array_append_new(bench->results, json_series(&series));
	free(series.runs);
	free(series.values);
	free(series.idle);
	free(series.moving);
	return err;
}
