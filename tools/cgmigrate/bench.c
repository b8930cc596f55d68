// SPDX-License-Identifier: GPL-2.0
/* cgmigrate bench: how fast memory moves on this machine, and who is held up. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "canvas.h"

#define FORMAT "cgmigrate-bench-1"
#define MOST_REPEATS 1000

enum {
	OPT_FROM = 1, OPT_TO, OPT_SIZE, OPT_KINDS, OPT_WAYS, OPT_RATE, OPT_REPEAT,
	OPT_FOLDER, OPT_BELOW, OPT_PICTURE, OPT_DRY_RUN,
};

static const struct option long_options[] = {
	COMMON_LONG,
	TABLE_LONG,
	{ "from", required_argument, NULL, OPT_FROM },
	{ "to", required_argument, NULL, OPT_TO },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "kinds", required_argument, NULL, OPT_KINDS },
	{ "ways", required_argument, NULL, OPT_WAYS },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "repeat", required_argument, NULL, OPT_REPEAT },
	{ "folder", required_argument, NULL, OPT_FOLDER },
	{ "below", required_argument, NULL, OPT_BELOW },
	{ "output", required_argument, NULL, 'o' },
	{ "picture", required_argument, NULL, OPT_PICTURE },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate bench [OPTION...]\n"
	"\n"
	"Measure how fast memory moves on this machine, and how long the process it is\n"
	"moved from under is held up: by each kind of memory and each way to move it.\n"
	OPTIONS_HEAD
	"      --from NODES       nodes to move from (the first node)\n"
	"      --to NODES         nodes to move to, as many (the next one)\n"
	"      --size SIZE        memory to move (256M)\n"
	"      --kinds LIST       of anon, thp, shmem, file, hugetlb (all)\n"
	"      --ways LIST        of cpuset, move_pages, migrate_pages, migratepages\n"
	"      --rate RATE        measure with this limit, too (500M)\n"
	"      --repeat N         runs of each (3)\n"
	"      --folder FOLDER    where the file is made, on a disk (/var/tmp)\n"
	"      --below CGROUP     where its cgroup is made (/)\n"
	"  -o, --output FILE      write all that was found, and the machine, as JSON\n"
	"      --picture FILE     draw it: FILE.svg or FILE.png\n"
	"      --dry-run          tell what would be measured, and what is missing\n"
	"  -b, --bytes            print bytes and microseconds\n"
	"  -r, --raw              for programs: no alignment, bytes, microseconds\n"
	"  -n, --noheadings       no headings\n"
	COMMON_HELP;

/* ---- arguments ---- */

/* A list of names as bits. */
static int parse_names(struct app *app, const char *option, const char *text,
		       const char *(*name)(int), int count, unsigned int *bits)
{
	char all[256] = "";

	*bits = 0;
	for (int i = 0; i < count; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "",
			 name(i));
	for (const char *p = text; *p; p += *p == ',') {
		size_t len = strcspn(p, ",");
		int i;

		for (i = 0; i < count; i++)
			if (strlen(name(i)) == len && !strncmp(p, name(i), len))
				break;
		if (i == count)
			return usage_error(app, "%s %.*s: none of %s", option, (int)len, p,
					   all);
		*bits |= 1u << i;
		p += len;
	}
	return *bits ? 0 : usage_error(app, "%s \"%s\": none of %s", option, text, all);
}

static const char *kind_name(int kind)
{
	return bench_kind_name(kind);
}

static const char *way_name(int way)
{
	return bench_way_name(way);
}

static int parse_repeat(struct app *app, const char *text, unsigned int *repeat)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < 1 || value > MOST_REPEATS)
		return usage_error(app, "--repeat %s: not a number from 1 to %d", text,
				   MOST_REPEATS);
	*repeat = value;
	return 0;
}

static int take_picture(struct app *app, struct bench *bench, const char *file)
{
	bench->picture = file;
	if (canvas_knows(file))
		return 0;
	return usage_error(app,
			   "--picture %s: not the name of a picture; it has to end in .svg or .png",
			   file);
}

static int take_below(struct app *app, struct bench *bench, const char *path)
{
	bench->below = path;
	return *path == '/' ? 0 : usage_error(app,
		"--below %s: not a cgroup; one starts with \"/\"", path);
}

static int take_option(struct app *app, int c, void *data)
{
	struct bench *bench = data;

	switch (c) {
	case OPT_FROM:
		return parse_nodes(app, "--from", optarg, &bench->from);
	case OPT_TO:
		return parse_nodes(app, "--to", optarg, &bench->to);
	case OPT_SIZE:
		return parse_size(app, "--size", optarg, &bench->size);
	case OPT_KINDS:
		bench->kinds_named = true;
		return parse_names(app, "--kinds", optarg, kind_name, BENCH_KINDS,
				   &bench->kinds);
	case OPT_WAYS:
		bench->ways_named = true;
		return parse_names(app, "--ways", optarg, way_name, BENCH_WAYS,
				   &bench->ways);
	case OPT_RATE:
		return parse_size(app, "--rate", optarg, &bench->rate);
	case OPT_REPEAT:
		return parse_repeat(app, optarg, &bench->repeat);
	case OPT_FOLDER:
		bench->folder = optarg;
		return 0;
	case OPT_BELOW:
		return take_below(app, bench, optarg);
	case OPT_PICTURE:
		return take_picture(app, bench, optarg);
	case OPT_DRY_RUN:
		bench->dry_run = true;
		return 0;
	default:
		bench->output = optarg;
		return 0;
	}
}

static int check_arguments(struct app *app, const struct bench *bench)
{
	if (bench->size < 1 << 20)
		return usage_error(app, "--size: at least 1M");
	if (bench->dry_run && (bench->output || bench->picture))
		return usage_error(app, "--dry-run: measures nothing to write to a file");
	return 0;
}

/* That a file cannot be written is told now, and not after minutes. */
static int check_files(struct app *app, const struct bench *bench)
{
	const char * const files[] = { bench->output, bench->picture };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const char *slash = files[i] ? strrchr(files[i], '/') : NULL;
		char folder[4096] = ".";

		if (!files[i])
			continue;
		if (slash)
			snprintf(folder, sizeof(folder), "%.*s",
				 (int)(slash - files[i]) + (slash == files[i]), files[i]);
		if (access(folder, W_OK | X_OK))
			return fail(app, EXIT_FAILED, "%s: cannot write: %s", files[i],
				    strerror(errno));
	}
	return 0;
}

/* ---- measuring ---- */

/* One more series. Errors: we were told to stop, or bytes are wrong. */
static int measure(struct bench *bench, enum bench_kind kind, enum bench_way way,
		   uint64_t rate)
{
	char what[64];
	int err = bench_series(bench, kind, way, rate);

	if (!err || err == -EINTR || err == -EILSEQ)
		return err;
	if (err == -EMEDIUMTYPE) {
		bench_miss(bench, bench_kind_name(kind), bench->error);
		bench->kinds &= ~(1u << kind);
		return 0;
	}
	snprintf(what, sizeof(what), "%s by %s", bench_kind_name(kind), bench_way_name(way));
	bench_miss(bench, what, bench->error);
	bench->failed = true;
	return 0;
}

static int measure_all(struct bench *bench)
{
	int err = 0;

	for (enum bench_kind kind = 0; kind < BENCH_KINDS; kind++)
		for (enum bench_way way = 0; way < BENCH_WAYS; way++) {
			if (!err && bench->kinds & 1u << kind && bench->ways & 1u << way)
				err = measure(bench, kind, way, 0);
			if (!err && bench->kinds & 1u << kind && bench->ways & 1u << way &&
			    bench->rate && bench_way_limits(bench, way))
				err = measure(bench, kind, way, bench->rate);
		}
	if (!bench->app->json && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	return err;
}

/* ---- telling ---- */

static json_t *json_bits(unsigned int bits, const char *(*name)(int), int count)
{
	json_t *list = json_array();

	for (int i = 0; i < count; i++)
		if (bits & 1u << i)
			json_array_append_new(list, json_string(name(i)));
	return list;
}

static json_t *json_bench(struct bench *bench, const char *state, int code)
{
	return json_pack("{s:s, s:s, s:i, s:b, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:O, s:O}",
			 "command", bench->app->verb, "state", state, "exit", code,
			 "changed", 0, "format", FORMAT, "from", json_nodes(&bench->from),
			 "to", json_nodes(&bench->to), "size", (json_int_t)bench->size,
			 "repeat", (json_int_t)bench->repeat, "rate",
			 bench->rate ? json_integer(bench->rate) : json_null(), "kinds",
			 json_bits(bench->kinds, kind_name, BENCH_KINDS), "ways",
			 json_bits(bench->ways, way_name, BENCH_WAYS), "machine",
			 bench_machine(bench), "results", bench->results, "missing",
			 bench->missing);
}

static int write_files(struct bench *bench, const json_t *object)
{
	int err = bench->output ? state_save(AT_FDCWD, bench->output, object, false) : 0;

	if (err)
		return fail(bench->app, EXIT_FAILED, "%s: cannot write: %s", bench->output,
			    strerror(-err));
	return bench->picture ? bench_draw(bench, object) : 0;
}

static int tell(struct bench *bench, int code)
{
	json_t *object = json_bench(bench, bench->dry_run ? "planned" : code_name(code), code);
	int failed = write_files(bench, object);

	if (!bench->app->json)
		bench_print(bench->app, object);
	else if (!failed)
		print_json(bench->app, json_incref(object));
	json_decref(object);
	return failed ? failed : code;
}

static int outcome(const struct bench *bench, int err, unsigned int kinds, unsigned int ways)
{
	bool missed = (bench->kinds_named && bench->kinds != kinds) ||
		      (bench->ways_named && bench->ways != ways);

	if (err == -EINTR)
		return EXIT_CANCELLED;
	if (!json_array_size(bench->results))
		return EXIT_FAILED;
	return missed || bench->failed ? EXIT_PARTIAL : EXIT_OK;
}

static int run(struct bench *bench)
{
	unsigned int kinds = bench->kinds, ways = bench->ways;
	int code = bench_check(bench), err;

	if (code)
		return code;
	if (bench->dry_run)
		return tell(bench, EXIT_OK);
	if (bench->app->sysroot)
		return fail(bench->app, EXIT_REFUSED,
			    "--sysroot: nothing can be measured on a recorded tree; --dry-run looks at it");
	bench_signals(bench);
	err = measure_all(bench);
	if (err == -EILSEQ)
		return fail(bench->app, EXIT_FAILED, "%s", bench->error);
	return tell(bench, outcome(bench, err, kinds, ways));
}

static const struct options options = {
	.shorts = COMMON_SHORT TABLE_SHORT "o:",
	.longs = long_options,
	.help = help,
	.take = take_option,
};

int cmd_bench(struct app *app, int argc, char **argv)
{
	struct bench bench = {
		.app = app,
		.size = 256 << 20,
		.repeat = 3,
		.kinds = (1u << BENCH_KINDS) - 1,
		.ways = (1u << BENCH_WAYS) - 1,
		.folder = "/var/tmp",
		.below = "/",
	};
	int code = read_options(app, argc, argv, &options, &bench);

	if (code != GO_ON)
		return code;
	if (optind < argc)
		return usage_error(app, "%s: bench takes no target", argv[optind]);
	code = check_arguments(app, &bench);
	if (!code)
		code = check_files(app, &bench);
	if (!code)
		code = app_open(app);
	if (code)
		return code;
	bench.missing = json_array();
	bench.results = json_array();
	code = run(&bench);
	json_decref(bench.missing);
	json_decref(bench.results);
	free(bench.program);
	return code;
}
