// SPDX-License-Identifier: GPL-2.0
/* cgmigrate map: a picture of an address space by node. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "canvas.h"

enum { OPT_PID = 1, OPT_DIFF };

static const struct option long_options[] = {
	COMMON_LONG,
	{ "pid", required_argument, NULL, OPT_PID },
	{ "diff", required_argument, NULL, OPT_DIFF },
	{ "output", required_argument, NULL, 'o' },
	{ "bytes", no_argument, NULL, 'b' },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: cgmigrate map [OPTION...] TARGET\n"
	"\n"
	"Draw the memory of a process in order of address, each block in the colour and\n"
	"with the number of the node it is on. Of a cgroup the largest process is taken.\n"
	OPTIONS_HEAD
	"      --pid PID          this process of the cgroup\n"
	"  -o, --output FILE      write a picture: FILE.svg or FILE.png\n"
	"      --diff FILE        draw what \"cgmigrate map -J >FILE\" saw before, too\n"
	"  -b, --bytes            print sizes in bytes\n"
	COMMON_HELP;

#define TERMINAL_CELLS 1024
#define PICTURE_CELLS 4096

struct map {
	long pid;
	const char *file;
	const char *diff;
};

/* ---- the map as an object: what is drawn, printed and kept ---- */

static json_t *json_cells(const struct app *app, const struct cgm_layout *layout)
{
	const cgm_nodeset *online = &app->features.online;
	json_t *cells = json_array(), *cell;
	int last = 0;

	for (int n = 0; n >= 0; n = cgm_nodeset_next(online, n))
		last = n;
	for (size_t i = 0; i < cgm_layout_cells(layout, NULL); i++) {
		cell = json_array();
		for (int n = 0; n <= last; n++)
			json_array_append_new(cell,
				json_integer(cgm_layout_cell(layout, i, n)));
		json_array_append_new(cells, cell);
	}
	return cells;
}

static json_t *json_bytes(const struct app *app, const struct cgm_layout *layout)
{
	const cgm_nodeset *online = &app->features.online;
	size_t cells = cgm_layout_cells(layout, NULL);
	json_t *bytes = json_object();

	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n)) {
		uint64_t sum = 0;
		char key[16];

		for (size_t i = 0; i < cells; i++)
			sum += cgm_layout_cell(layout, i, n);
		snprintf(key, sizeof(key), "%d", n);
		json_object_set_new(bytes, key, json_integer(sum));
	}
	return bytes;
}

static json_t *json_map(struct app *app, const struct cgm_layout *layout,
			const struct target *target, pid_t pid, const char *comm)
{
	json_t *vmas = json_array(), *object;
	uint64_t cell_size;
	cgm_nodeset allowed;
	struct cgm_vma vma;

	for (size_t i = 0; vma.size = sizeof(vma), !cgm_layout_vma(layout, i, &vma); i++)
		json_array_append_new(vmas, json_vma(app, &vma));
	cgm_layout_cells(layout, &cell_size);
	cgm_layout_allowed(layout, &allowed);
	object = json_pack("{s:s, s:s, s:i, s:i, s:o, s:o, s:b, s:I, s:o, s:o, s:o}",
			   "command", app->verb, "state", "done", "exit", 0, "pid", pid,
			   "process", json_text(comm), "allowed", json_nodes(&allowed), "exact",
			   cgm_layout_exact(layout), "cell_bytes", (json_int_t)cell_size,
			   "bytes", json_bytes(app, layout), "cells",
			   json_cells(app, layout), "vmas", vmas);
	if (target->group)
		json_object_set_new(object, "cgroup",
				    json_text(cgm_group_path(target->group)));
	return object;
}

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "?";
}

static uint64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

void map_title(struct app *app, const json_t *map, char *buf, size_t size)
{
	char cell[32];

	snprintf(buf, size, "process %llu (%s), allowed on %s; a block is %s%s",
		 (unsigned long long)number(map, "pid"),
		 word(map, "process"), word(map, "allowed"),
		 size_text(app, number(map, "cell_bytes"), cell, sizeof(cell)),
		 json_is_true(json_object_get(map, "exact")) ? "" :
		 "; order within mappings is not known");
}

/* The mapping that has most of the cells from @first to before @end. */
const char *map_label(const json_t *map, size_t first, size_t end)
{
	json_t *vmas = json_object_get(map, "vmas"), *vma;
	const char *best = "";
	size_t i, most = 0;

	json_array_foreach(vmas, i, vma) {
		json_t *next = json_array_get(vmas, i + 1);
		size_t from = number(vma, "cell"), to = next ? number(next, "cell") : end;
		const char *name = json_string_value(json_object_get(vma, "name"));

		from = from < first ? first : from;
		to = to > end ? end : to;
		if (to > from && to - from > most) {
			most = to - from;
			best = name && *name ? name : "anonymous";
		}
	}
	return best;
}

/* ---- on the terminal ---- */

/* Columns of the terminal; 0: it is none. */
static size_t terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return 0;
	return size.ws_col;
}

static size_t row_width(size_t terminal)
{
	if (!terminal || terminal >= 96)
		return 64;
	return terminal < 40 ? 16 : terminal - 24;
}

/* As much of the end of a text as has no more than so many bytes, from a character on. */
static const char *end_of(const char *text, size_t size)
{
	size_t len = strlen(text);

	text += len > size ? len - size : 0;
	while ((*text & 0xc0) == 0x80)	/* the middle of one, in UTF-8 */
		text++;
	return text;
}

/* What is at the end of a row; of a long name the end, which tells more. */
static void print_label(const char *label, size_t row, size_t terminal)
{
	size_t len = strlen(label), room = terminal > row + 8 ? terminal - row - 2 : 6;

	if (!terminal || len <= room)
		say("  %s", label);
	else
		say("  ...%s", end_of(label, room - 3));
}

static char node_symbol(int node)
{
	static const char symbols[] = "0123456789abcdefghijklmnopqrstuvwxyz";

	return node < (int)sizeof(symbols) - 1 ? symbols[node] : '#';
}

/* The colour cube of terminals with 256 colours has six steps a channel. */
static int terminal_colour(uint32_t rgb)
{
	return 16 + 36 * ((rgb >> 16) * 6 / 256) + 6 * ((rgb >> 8 & 255) * 6 / 256) +
	       (rgb & 255) * 6 / 256;
}

static int main_node(const json_t *cell)
{
	json_int_t most = 0;
	json_t *bytes;
	int best = -1;
	size_t n;

	json_array_foreach(cell, n, bytes)
		if (json_integer_value(bytes) > most) {
			most = json_integer_value(bytes);
			best = n;
		}
	return best;
}

static void print_cell(int node, bool colour)
{
	char symbol = node < 0 ? ' ' : node_symbol(node);

	if (colour && node >= 0)
		printf("\033[48;5;%dm\033[38;5;16m%c\033[0m",
		       terminal_colour(node_colour(node)), symbol);
	else
		putchar(symbol);
}

static void print_legend(struct app *app, const json_t *map, bool colour)
{
	const char *node;
	bool outside = false;
	cgm_nodeset allowed;
	json_t *bytes;

	cgm_nodeset_clear(&allowed);
	cgm_nodeset_parse(json_string_value(json_object_get(map, "allowed")), &allowed);
	json_object_foreach(json_object_get(map, "bytes"), node, bytes) {
		bool stray = json_integer_value(bytes) &&
			     !cgm_nodeset_has(&allowed, atoi(node));
		char size[32];

		outside |= stray;
		print_cell(atoi(node), colour);
		printf(" node %s%s: %s   ", node, stray ? "*" : "",
		       size_text(app, json_integer_value(bytes), size, sizeof(size)));
	}
	puts(outside ? "* not allowed there" : "");
}

static void print_map(struct app *app, const json_t *map)
{
	bool colour = colours_wanted();
	json_t *cells = json_object_get(map, "cells");
	size_t terminal = terminal_width(), width = row_width(terminal);
	size_t count = json_array_size(cells);
	const char *before = "";
	char title[512];

	map_title(app, map, title, sizeof(title));
	say("%s\n", title);
	print_legend(app, map, colour);
	for (size_t first = 0; first < count; first += width) {
		const char *label = map_label(map, first, first + width);

		for (size_t i = first; i < first + width; i++)
			print_cell(i < count ? main_node(json_array_get(cells, i)) : -1,
				   colour);
		if (strcmp(label, before))
			print_label(label, width, terminal);
		putchar('\n');
		before = label;
	}
}

/* ---- the verb ---- */

static int take_option(struct app *app, int c, void *data)
{
	struct map *map = data;
	char *end;

	switch (c) {
	case OPT_DIFF:
		map->diff = optarg;
		return 0;
	case 'o':
		map->file = optarg;
		if (!canvas_knows(optarg))
			return usage_error(app,
					   "--output %s: not the name of a picture; it has to end in .svg or .png",
					   optarg);
		return 0;
	default:
		errno = 0;
		map->pid = strtol(optarg, &end, 10);
		if (*end || errno || map->pid <= 0 || map->pid > 1 << 22)
			return usage_error(app, "--pid %s: not a process number", optarg);
		return 0;
	}
}

/* Which process to draw. 0, or an exit code. */
static int choose_process(struct app *app, const struct target *target, const struct map *map,
			  pid_t *pid, char *comm, size_t size)
{
	struct cgm_process process = { .size = sizeof(process) };
	struct cgm_placement *placement;
	pid_t wanted = target->pid ? target->pid : map->pid;
	int err;

	if (target->pid && map->pid && map->pid != target->pid)
		return usage_error(app, "--pid %ld: the target is a process already",
				   map->pid);
	*pid = target->pid;
	snprintf(comm, size, "?");
	if (!target->group)
		return 0;
	err = cgm_placement_read(target->group, CGM_PLACEMENT_PROCESSES, &placement);
	if (err)
		return fail_errno(app, err);
	for (size_t i = 0; !cgm_placement_process(placement, i, &process); i++) {
		if (wanted && process.pid != wanted)
			continue;
		*pid = process.pid;
		snprintf(comm, size, "%s", process.comm);
		break;
	}
	cgm_placement_free(placement);
	if (*pid)
		return 0;
	return wanted ? fail(app, EXIT_FAILED, "%s: has no process %d", target->text, wanted) :
			fail(app, EXIT_FAILED, "%s: has no processes to draw", target->text);
}

static int read_map(struct app *app, const char *text, const struct map *map, json_t **out)
{
	struct cgm_layout *layout;
	struct target target;
	pid_t pid = 0;
	char comm[64];
	int err, code = target_open(app, text, &target);

	if (code)
		return code;
	if (target.pids) {
		target_close(&target);
		return usage_error(app, "%s: map takes a cgroup or a process", text);
	}
	code = choose_process(app, &target, map, &pid, comm, sizeof(comm));
	if (!code) {
		err = cgm_layout_read_pid(app->ctx, pid, map->file || app->json ?
					  PICTURE_CELLS : TERMINAL_CELLS, &layout);
		if (err) {
			code = fail_errno(app, err);
		} else {
			*out = json_map(app, layout, &target, pid, comm);
			cgm_layout_free(layout);
			if (shortage())
				code = fail(app, EXIT_FAILED, "out of memory");
		}
	}
	target_close(&target);
	return code;
}

static int read_before(struct app *app, const char *file, json_t **out)
{
	json_error_t error;
	json_t *object = json_load_file(file, 0, &error);
	const char *command = json_string_value(json_object_get(object, "command"));

	if (object && command && !strcmp(command, "map") &&
	    json_is_string(json_object_get(object, "allowed")) &&
	    json_is_array(json_object_get(object, "cells"))) {
		*out = object;
		return 0;
	}
	json_decref(object);
	if (!object)
		return fail(app, EXIT_FAILED, "--diff %s: %s", file, error.text);
	return fail(app, EXIT_FAILED, "--diff %s: not what \"cgmigrate map -J\" writes", file);
}

static int tell(struct app *app, const struct map *map, json_t **maps, size_t count)
{
	int code = map->file ? picture_write(app, map->file, maps, count) : 0;

	if (code)
		return code;
	if (app->json) {
		if (count > 1)
			json_object_set(maps[1], "before", maps[0]);
		print_json(app, json_incref(maps[count - 1]));
		return 0;
	}
	for (size_t i = 0; i < count && !map->file; i++) {
		if (count > 1)
			puts(i ? "\nafter" : "before");
		print_map(app, maps[i]);
	}
	return 0;
}

static const struct options options = {
	.shorts = COMMON_SHORT "bo:",
	.longs = long_options,
	.help = help,
	.take = take_option,
};

int cmd_map(struct app *app, int argc, char **argv)
{
	struct map map = { 0 };
	json_t *maps[2] = { NULL, NULL };
	size_t count = 0;
	int code = read_options(app, argc, argv, &options, &map);

	if (code != GO_ON)
		return code;
	if (argc - optind != 1)
		return usage_error(app, argc == optind ? "no target named" :
				   "one target at a time");
	code = app_open(app);
	if (!code && map.diff)
		code = read_before(app, map.diff, &maps[count++]);
	if (!code)
		code = read_map(app, argv[optind], &map, &maps[count++]);
	if (!code)
		code = tell(app, &map, maps, count);
	json_decref(maps[0]);
	json_decref(maps[1]);
	return code;
}
