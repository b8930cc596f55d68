// SPDX-License-Identifier: GPL-2.0
/*
 * A machine as the library sees it below a sysroot: four nodes, cgroup v2, a few
 * cgroups and processes, and what commands have left behind. It is in "machine.txt"; an
 * input replaces some of its files for as long as it is looked at.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 128

struct file {
	char *name;		/* from the root of the machine */
	char *text;
	size_t len;
	bool changed;
};

static char root[64];
static struct file files[FILES_MAX];
static size_t file_count;

static void write_file(const char *name, const void *text, size_t len)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK(fd >= 0);
	CHECK(write(fd, text, len) == (ssize_t)len);
	close(fd);
}

static void make_parents(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *p = strchr(path + strlen(root) + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		CHECK(!mkdir(path, 0755) || errno == EEXIST);
		*p = '/';
	}
}

static void add_file(const char *name, const char *text, size_t len)
{
	struct file *file = &files[file_count++];

	CHECK(file_count < FILES_MAX);
	file->name = strdup(name);
	file->text = malloc(len + 1);
	file->len = len;
	CHECK(file->name && file->text);
	memcpy(file->text, text, len);
	make_parents(name);
	write_file(name, text, len);
}

void machine_parts(const char *text, size_t size,
		   void (*fn)(const char *name, const char *text, size_t len))
{
	const char *end = text + size, *next;

	for (const char *p = text; p < end; p = next) {
		const char *line = memchr(p, '\n', end - p);
		char name[128];

		if (*p != '@' || !line)
			break;
		snprintf(name, sizeof(name), "%.*s",
			 line - p - 1 < (long)sizeof(name) ? (int)(line - p - 1) : 0, p + 1);
		next = memmem(line, end - line, "\n@", 2);
		next = next ? next + 1 : end;
		fn(name, line + 1, next - line - 1);
	}
}

static void read_machine(void)
{
	FILE *file = fopen(FUZZ_MACHINE, "re");
	char *text = malloc(65536);
	size_t len;

	CHECK(file && text);
	len = fread(text, 1, 65536, file);
	CHECK(feof(file));
	fclose(file);
	machine_parts(text, len, add_file);
	free(text);
	CHECK(file_count);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void remove_machine(void)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	for (size_t i = 0; i < file_count; i++) {
		free(files[i].name);
		free(files[i].text);
	}
}

const char *machine_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	if (*root)
		return root;
	snprintf(root, sizeof(root), "%s/cgm-fuzz-XXXXXX", tmp ? tmp : "/dev/shm");
	CHECK(mkdtemp(root));
	read_machine();
	atexit(remove_machine);
	return root;
}

bool machine_put(const char *name, const void *text, size_t len)
{
	machine_dir();
	for (size_t i = 0; i < file_count; i++) {
		if (strcmp(files[i].name, name))
			continue;
		files[i].changed = true;
		write_file(name, text, len);
		return true;
	}
	return false;
}

void machine_reset(void)
{
	for (size_t i = 0; i < file_count; i++) {
		if (files[i].changed)
			write_file(files[i].name, files[i].text, files[i].len);
		files[i].changed = false;
	}
}

struct cgm_context *machine_context(void)
{
	struct cgm_context_options options = {
		.size = sizeof(options), .sysroot = machine_dir(),
	};
	struct cgm_context *ctx;

	return cgm_context_new(&ctx, &options) ? NULL : ctx;
}
