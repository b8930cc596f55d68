// SPDX-License-Identifier: GPL-2.0
/* Words, numbers and errors, for people and for programs. */
#include <errno.h>
#include <langinfo.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "cgmigrate.h"

uint64_t now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static bool is_utf8(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

/* In UTF-8: U+202A to U+202E, U+2066 to U+2069, which change where what follows is shown. */
static bool turns(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	return p[0] == 0xe2 && ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
				(p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

/*
 * The bytes of the character at the start of a text, if a terminal only shows it and does
 * not obey it; beyond ASCII that can be told where text is UTF-8. Else 0.
 */
static size_t plain_length(const char *text)
{
	unsigned char first = *text;
	mbstate_t state = { 0 };
	wchar_t c;
	size_t len;

	if (first < 0x80)
		return first >= ' ' && first < 0x7f;
	if (!is_utf8())
		return 0;
	len = mbrtowc(&c, text, MB_LEN_MAX, &state);
	return len > MB_LEN_MAX || c < 0xa0 || turns(text) ? 0 : len;
}

/*
 * Names of cgroups and processes are any bytes, and terminals obey some of them. What is
 * not only shown is written as it is in tables, \x1b; lines end as ours do.
 */
static void put_plain(FILE *out, const char *text, bool lines)
{
	size_t len;

	for (const char *p = text; *p; p += len) {
		len = lines && *p == '\n' ? 1 : plain_length(p);
		if (len)
			fwrite(p, 1, len, out);
		else
			fprintf(out, "\\x%02x", (unsigned char)*p);
		len = len ? len : 1;
	}
}

/*
 * For tables. libscols writes what is no printable character of the locale as \x1b, too,
 * and takes what turns text for one. NULL: there is none of that; else to be given to
 * free(3).
 */
char *plain_text(const char *text)
{
	const char *p = text;
	char *plain = NULL;
	size_t size;
	FILE *out;

	if (!is_utf8())
		return NULL;
	while (*p && !turns(p))
		p++;
	if (!*p)
		return NULL;
	out = open_memstream(&plain, &size);
	if (out)
		put_plain(out, text, false);
	if (!out || fclose(out))
		shortage_note();
	return plain;
}

/* Print to the standard output what has names in it that are not ours. */
void say(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) >= 0) {
		put_plain(stdout, text, true);
		free(text);
	} else {
		shortage_note();
	}
	va_end(ap);
}

static void say_error(const struct app *app, const char *text)
{
	fprintf(stderr, "cgmigrate: %s%s", app->verb, *app->verb ? ": " : "");
	put_plain(stderr, text, false);
	fputc('\n', stderr);
}

/* NULL without memory. */
static char *quote(const char *text)
{
	static const char safe[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._:@%+,=-";
	bool odd = false;
	char *word = NULL;
	size_t len;
	FILE *out;

	if (*text && text[strspn(text, safe)] == '\0')
		return strdup(text);
	out = open_memstream(&word, &len);
	if (!out)
		return NULL;
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		odd |= *p < ' ' || *p >= 0x7f;
	fputs(odd ? "$'" : "'", out);
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (odd && (*p < ' ' || *p >= 0x7f))
			fprintf(out, "\\%03o", *p);
		else if (odd && (*p == '\'' || *p == '\\'))
			fprintf(out, "\\%c", *p);
		else if (*p == '\'')
			fputs("'\\''", out);
		else
			fputc(*p, out);
	fputc('\'', out);
	if (!fclose(out))
		return word;
	free(word);
	return NULL;
}

/*
 * A word as a shell reads it, for commands that people copy: whatever a name has in it,
 * it is that name, and nothing else is run. ASCII, because records keep such commands,
 * and others read those. To be given to free(3). NULL is a shortage.
 */
char *shell_word(const char *text)
{
	char *word = quote(text);

	if (!word)
		shortage_note();
	return word;
}

/* Tell the error that fail() has kept while the caller was quiet. Passes the code on. */
int fail_late(struct app *app, int code)
{
	if (app->json && !shortage())
		print_json(app, json_pack("{s:s, s:s, s:i, s:b, s:{s:o}}", "command", app->verb,
					  "state", code_name(code), "exit", code, "changed", 0,
					  "error", "message", json_text(app->error)));
	else
		say_error(app, app->error);
	return code;
}

/* Tell an error and pass the exit code on. */
int fail(struct app *app, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(app->error, sizeof(app->error), fmt, ap);
	va_end(ap);
	return app->quiet ? code : fail_late(app, code);
}

/* The library failed before anything was changed: what it says. */
int fail_errno(struct app *app, int err)
{
	const char *text = cgm_context_error(app->ctx);

	switch (-err) {
	case ECANCELED:
	case EACCES:
	case EPERM:
	case EROFS:
	case EBUSY:
	case EINVAL:
	case ENOSPC:
		return fail(app, EXIT_REFUSED, "%s", *text ? text : strerror(-err));
	default:
		return fail(app, EXIT_FAILED, "%s", *text ? text : strerror(-err));
	}
}

/* With --json it is kept for the object that will be told. */
static void keep_warning(struct app *app, const char *text)
{
	if (!app->warnings)
		app->warnings = json_array();
	json_array_append_new(app->warnings,
		json_pack("{s:s, s:o}", "severity", "warning", "message", json_text(text)));
}

void warn(struct app *app, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) >= 0) {
		if (app->json && !app->told)
			keep_warning(app, text);
		else
			say_error(app, text);
		free(text);
	} else {
		shortage_note();
	}
	va_end(ap);
}

/* 1.5G, or the bytes. */
const char *size_text(const struct app *app, uint64_t bytes, char *buf, size_t size)
{
	static const char units[] = "KMGTPE";
	double value = bytes;
	int unit = -1;

	if (app->bytes || bytes < 1024) {
		snprintf(buf, size, "%llu%s", (unsigned long long)bytes,
			 app->bytes || !bytes ? "" : "B");
		return buf;
	}
	while (value >= 1023.95 && units[unit + 1]) {
		value /= 1024;
		unit++;
	}
	if (unit < 0) {
		value /= 1024;
		unit = 0;
	}
	snprintf(buf, size, "%.1f%c", value, units[unit]);
	return buf;
}

const char *nodes_text(const cgm_nodeset *set, char *buf, size_t size)
{
	cgm_nodeset_format(set, buf, size);
	return buf;
}

/* Warnings that were kept become some of its notes. */
static void add_warnings(struct app *app, json_t *object)
{
	json_t *notes = json_object_get(object, "notes");

	if (notes)
		json_array_extend(notes, app->warnings);
	else if (app->warnings)
		json_object_set(object, "notes", app->warnings);
	json_decref(app->warnings);
	app->warnings = NULL;
	app->told = true;
}

/* Takes the object over. What lacks a part for want of memory is not told as the whole. */
void print_json(struct app *app, json_t *object)
{
	char *text = NULL;

	if (!object)
		shortage_note();
	add_warnings(app, object);
	/* A terminal may obey what is not ASCII, and DEL, as it does what JSON escapes. */
	if (!shortage())
		text = json_dumps(object, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	if (!text)
		shortage_note();
	for (const char *p = text; p && *p; p++)
		if (*p == 0x7f)
			fputs("\\u007f", stdout);
		else
			putchar(*p);
	if (text)
		putchar('\n');
	free(text);
	json_decref(object);
}

json_t *json_nodes(const cgm_nodeset *set)
{
	char buf[NODES_TEXT_MAX];

	return json_string(nodes_text(set, buf, sizeof(buf)));
}

/* {"total": B, "stray": B, "nodes": {"0": B}, "kinds": {"anon": {"0": B}}} */
json_t *json_placement(const struct app *app, const struct cgm_placement *p)
{
	const cgm_nodeset *online = &app->features.online;
	json_t *nodes, *kinds, *kind;
	char key[16];

	if (!p)
		return json_null();
	nodes = json_object();
	kinds = json_object();
	for (int k = 0; k < CGM_KIND_COUNT; k++) {
		kind = json_object();
		for (int n = cgm_nodeset_next(online, -1); n >= 0;
		     n = cgm_nodeset_next(online, n)) {
			snprintf(key, sizeof(key), "%d", n);
			json_object_set_new(kind, key,
					    json_integer(cgm_placement_bytes(p, k, n)));
		}
		json_object_set_new(kinds, cgm_kind_name(k), kind);
	}
	for (int n = cgm_nodeset_next(online, -1); n >= 0; n = cgm_nodeset_next(online, n)) {
		snprintf(key, sizeof(key), "%d", n);
		json_object_set_new(nodes, key,
				    json_integer(cgm_placement_bytes(p, CGM_KIND_MOVABLE, n)));
	}
	return json_pack("{s:I, s:I, s:s, s:o, s:o}", "total",
			 (json_int_t)cgm_placement_bytes(p, CGM_KIND_MOVABLE, CGM_NODE_ALL),
			 "stray", (json_int_t)cgm_placement_stray(p), "source",
			 cgm_placement_source(p) == CGM_SOURCE_CHARGED ? "charged" :
			 cgm_placement_source(p) == CGM_SOURCE_MAPPED ? "mapped" : "none",
			 "nodes", nodes, "kinds", kinds);
}

/*
 * JSON is UTF-8; arguments and names of files, cgroups and processes are any bytes.
 * Whatever is not the command's own goes through here.
 */
json_t *json_text(const char *text)
{
	json_t *string = json_string(text);
	char *copy = string ? NULL : strdup(text);

	if (string)
		return string;
	if (!copy) {
		shortage_note();
		return NULL;
	}
	for (char *p = copy; *p; p++)
		if (*p & 0x80)
			*p = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

json_t *json_textf(const char *fmt, ...)
{
	json_t *string = NULL;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) >= 0) {
		string = json_text(text);
		free(text);
	} else {
		shortage_note();
	}
	va_end(ap);
	return string;
}

/* Can JSON name it, so that what reads that finds it again? */
bool json_can_name(const char *name)
{
	json_t *string = json_string(name);

	json_decref(string);
	return string;
}

json_t *json_vma(const struct app *app, const struct cgm_vma *vma)
{
	char start[24], end[24];

	snprintf(start, sizeof(start), "%llx", (unsigned long long)vma->start);
	snprintf(end, sizeof(end), "%llx", (unsigned long long)vma->end);
	return json_pack("{s:s, s:s, s:o, s:s, s:o, s:I, s:I, s:o}", "start", start, "end",
			 end, "name", json_text(vma->name), "kind", cgm_kind_name(vma->kind), "policy",
			 json_text(vma->policy), "page_size", (json_int_t)vma->page_size, "cell",
			 (json_int_t)vma->cell, "placement",
			 json_placement(app, vma->placement));
}

/* A full disk is an error, also when the last write happens at exit. */
void close_stdout(void)
{
	bool failed = ferror(stdout);

	if (fclose(stdout) && errno != EBADF)
		failed = true;
	if (shortage()) {
		fputs("cgmigrate: out of memory or files: not all could be told\n", stderr);
		_exit(EXIT_FAILED);
	}
	if (failed) {
		fprintf(stderr, "cgmigrate: cannot write output: %s\n", strerror(errno));
		_exit(EXIT_FAILED);
	}
}
