// SPDX-License-Identifier: GPL-2.0
/*
 * Reading what is wanted: a plan or a list as JSON, or groups in the syntax of
 * cgconfig.conf, of which cpuset.mems is taken.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../libcgroup-plugin/plugin/files.h"
#include "spec.h"

int wish_add(struct app *app, struct wishes *wishes, const char *cgroup,
	     const cgm_nodeset *to, const cgm_nodeset *from)
{
	struct wish *more = realloc(wishes->list, (wishes->count + 1) * sizeof(*more));

	if (!more)
		return fail(app, EXIT_FAILED, "out of memory");
	wishes->list = more;
	more += wishes->count;
	memset(more, 0, sizeof(*more));
	more->cgroup = strdup(cgroup);
	if (!more->cgroup)
		return fail(app, EXIT_FAILED, "out of memory");
	more->to = *to;
	if (from) {
		more->has_from = true;
		more->from = *from;
	}
	wishes->count++;
	return 0;
}

/* "note", or "warning". */
void wishes_note(struct wishes *wishes, const char *severity, json_t *message)
{
	if (!wishes->notes)
		wishes->notes = json_array();
	json_array_append_new(wishes->notes, json_pack("{s:s, s:o}", "severity", severity,
						       "message", message));
}

void wishes_free(struct wishes *wishes)
{
	for (size_t i = 0; i < wishes->count; i++)
		free(wishes->list[i].cgroup);
	free(wishes->list);
	json_decref(wishes->notes);
}

/* ---- JSON ---- */

static int json_wish_cpus(struct app *app, const char *name, const json_t *cpus,
			  struct wish *wish)
{
	const char *before = json_string_value(json_object_get(cpus, "before"));
	const char *after = json_string_value(json_object_get(cpus, "after"));

	if (!after || cgm_nodeset_parse(after, &wish->cpus) ||
	    !cgm_nodeset_weight(&wish->cpus))
		return fail(app, EXIT_USAGE,
			    "%s: %s: \"cpus\" needs \"after\", a list of CPUs such as 2-3",
			    name, wish->cgroup);
	if (before && cgm_nodeset_parse(before, &wish->cpus_before))
		return fail(app, EXIT_USAGE,
			    "%s: %s: \"cpus\": \"before\": \"%s\" is not a list of CPUs",
			    name, wish->cgroup, before);
	wish->has_cpus = true;
	wish->has_cpus_before = before;
	return 0;
}

static int json_wish(struct app *app, const char *name, const json_t *target,
		     struct wishes *wishes)
{
	const char *cgroup = json_string_value(json_object_get(target, "cgroup"));
	const char *to = json_string_value(json_object_get(target, "to"));
	const char *from = json_string_value(json_object_get(target, "from"));
	const json_t *cpus = json_object_get(target, "cpus");
	cgm_nodeset to_set, from_set;
	int code;

	if (!cgroup || !to)
		return fail(app, EXIT_USAGE,
			    "%s: each of \"targets\" needs \"cgroup\" and \"to\", both strings",
			    name);
	if (cgm_nodeset_parse(to, &to_set))
		return fail(app, EXIT_USAGE, "%s: %s: \"to\": \"%s\" is not a list of nodes",
			    name, cgroup, to);
	if (from && cgm_nodeset_parse(from, &from_set))
		return fail(app, EXIT_USAGE,
			    "%s: %s: \"from\": \"%s\" is not a list of nodes", name, cgroup,
			    from);
	code = wish_add(app, wishes, cgroup, &to_set, from ? &from_set : NULL);
	if (!code && cpus)
		code = json_wish_cpus(app, name, cpus, &wishes->list[wishes->count - 1]);
	return code;
}

int spec_from_json(struct app *app, const char *name, json_t *object,
		   struct wishes *wishes)
{
	json_t *targets = json_object_get(object, "targets"), *target;
	size_t i;
	int code = 0;

	if (!json_is_array(targets))
		return fail(app, EXIT_USAGE, "%s: has no list \"targets\"", name);
	json_array_foreach(targets, i, target)
		if (!code)
			code = json_wish(app, name, target, wishes);
	return code;
}

static int read_json(struct app *app, const char *name, const char *text,
		     struct wishes *wishes)
{
	json_error_t error;
	json_t *object = json_loads(text, 0, &error);
	int code;

	if (!object)
		return fail(app, EXIT_USAGE, "%s:%d: %s", name, error.line, error.text);
	code = spec_from_json(app, name, object, wishes);
	json_decref(object);
	return code;
}

/* ---- cgconfig.conf ---- */

struct lexer {
	struct app *app;
	const char *name;
	const char *p;
	int line;
	bool end;		/* there is no more */
	bool quoted;		/* so it is a word whatever is in it */
	bool cut;		/* it was longer */
	char word[4096];	/* or one of { } = ; */
};

static void next_word(struct lexer *l)
{
	size_t used = 0;
	bool quoted = false;

	l->quoted = false;
	l->cut = false;
	for (;; l->p++) {
		if (*l->p == '#')
			l->p += strcspn(l->p, "\n");
		if (*l->p == '\n')
			l->line++;
		if (!isspace((unsigned char)*l->p))
			break;
	}
	l->end = !*l->p;
	if (*l->p && strchr("{}=;", *l->p))
		l->word[used++] = *l->p++;
	else
		for (; *l->p && (quoted || (!isspace((unsigned char)*l->p) &&
					    !strchr("{}=;#", *l->p))); l->p++) {
			l->line += *l->p == '\n';
			if (*l->p == '"') {
				quoted = !quoted;
				l->quoted = true;
			} else if (used + 1 < sizeof(l->word)) {
				l->word[used++] = *l->p;
			} else {
				l->cut = true;
			}
		}
	l->word[used] = '\0';
}

static bool is_sign(const struct lexer *l, const char *sign)
{
	return !l->end && !l->quoted && !strcmp(l->word, sign);
}

/* Something that can be a name or a value; not what only a part of was kept. */
static bool is_word(const struct lexer *l)
{
	return !l->end && !l->cut && (l->quoted || !strchr("{}=;", l->word[0]));
}

static int syntax_error(struct lexer *l, const char *wanted)
{
	if (l->cut)
		return fail(l->app, EXIT_USAGE, "%s:%d: a word of more than %zu bytes",
			    l->name, l->line, sizeof(l->word) - 1);
	return fail(l->app, EXIT_USAGE, "%s:%d: %s where %s is wanted", l->name, l->line,
		    l->end ? "the end" : *l->word ? l->word : "\"\"", wanted);
}

/* From behind a "{" to behind the "}" that belongs to it. */
static int skip_block(struct lexer *l)
{
	for (int depth = 1; depth;) {
		next_word(l);
		if (l->end)
			return syntax_error(l, "\"}\"");
		depth += is_sign(l, "{");
		depth -= is_sign(l, "}");
	}
	return 0;
}

static int take_mems(struct lexer *l, const char *group, struct wishes *wishes)
{
	char path[sizeof(l->word) + 1];
	cgm_nodeset to;

	if (cgm_nodeset_parse(l->word, &to) || !cgm_nodeset_weight(&to))
		return fail(l->app, EXIT_USAGE,
			    "%s:%d: cpuset.mems = \"%s\": not a list of nodes such as 2-3",
			    l->name, l->line, l->word);
	snprintf(path, sizeof(path), "%s%s", group[0] == '/' ? "" : "/", group);
	return wish_add(l->app, wishes, path, &to, NULL);
}

/* The settings of a controller, from behind its "{". */
static int read_settings(struct lexer *l, const char *group, struct wishes *wishes)
{
	int code = 0;

	for (next_word(l); !code && !is_sign(l, "}"); next_word(l)) {
		bool mems = !strcmp(l->word, "cpuset.mems");

		if (!is_word(l))
			return syntax_error(l, "a setting or \"}\"");
		next_word(l);
		if (!is_sign(l, "="))
			return syntax_error(l, "\"=\"");
		next_word(l);
		if (!is_word(l))
			return syntax_error(l, "a value");
		if (mems)
			code = take_mems(l, group, wishes);
		next_word(l);
		if (!code && !is_sign(l, ";"))
			return syntax_error(l, "\";\"");
	}
	return code;
}

static int read_group(struct lexer *l, struct wishes *wishes)
{
	char group[sizeof(l->word)];
	int code = 0;

	next_word(l);
	if (!is_word(l) || !*l->word)
		return syntax_error(l, "the name of a group");
	snprintf(group, sizeof(group), "%s", l->word);
	next_word(l);
	if (!is_sign(l, "{"))
		return syntax_error(l, "\"{\"");
	for (next_word(l); !code && !is_sign(l, "}"); next_word(l)) {
		bool cpuset = !strcmp(l->word, "cpuset");

		if (!is_word(l))
			return syntax_error(l, "a controller or \"}\"");
		next_word(l);
		if (!is_sign(l, "{"))
			return syntax_error(l, "\"{\"");
		code = cpuset ? read_settings(l, group, wishes) : skip_block(l);
	}
	return code;
}

static int read_cgconfig(struct app *app, const char *name, const char *text,
			 struct wishes *wishes)
{
	struct lexer l = { .app = app, .name = name, .p = text, .line = 1 };
	int code = 0;

	for (next_word(&l); !code && !l.end; next_word(&l)) {
		if (!strcmp(l.word, "group")) {
			code = read_group(&l, wishes);
			continue;
		}
		if (strcmp(l.word, "mount") && strcmp(l.word, "namespace") &&
		    strcmp(l.word, "default") && strcmp(l.word, "template"))
			return syntax_error(&l, "\"group\", \"mount\", \"namespace\", \"default\" or \"template\"");
		while (!l.end && !is_sign(&l, "{"))
			next_word(&l);
		code = skip_block(&l);
	}
	if (!code && !wishes->count)
		return fail(app, EXIT_USAGE, "%s: no group in it has a cpuset.mems", name);
	return code;
}

/* ---- files ---- */

static char *read_all(FILE *file, size_t *len)
{
	char *text = NULL, part[65536];
	size_t n;
	FILE *out = open_memstream(&text, len);

	while (out && (n = fread(part, 1, sizeof(part), file)))
		fwrite(part, 1, n, out);
	if (!out || fclose(out) || ferror(file)) {
		free(text);
		return NULL;
	}
	return text;
}

static int read_file(struct app *app, const char *name, bool trusted, struct wishes *wishes)
{
	FILE *file = strcmp(name, "-") ? fopen(name, "re") : stdin;
	char *text = NULL, why[FILE_WHY];
	int err = errno, code = 0;
	size_t len = 0;

	/* What is carried out is believed. */
	if (file && file != stdin && trusted && file_check_owner(fileno(file), why))
		code = fail(app, EXIT_REFUSED, "%s: %s", name, why);
	if (file && !code) {
		text = read_all(file, &len);
		err = errno;
	}
	if (file && file != stdin)
		fclose(file);
	if (code)
		return code;
	if (!text)
		return fail(app, EXIT_FAILED, "%s: cannot read: %s", name, strerror(err));
	if (strlen(text) < len)
		code = fail(app, EXIT_USAGE, "%s: is no text: has a NUL in it", name);
	else if (text[strspn(text, " \t\r\n")] == '{')
		code = read_json(app, name, text, wishes);
	else
		code = read_cgconfig(app, name, text, wishes);
	free(text);
	return code;
}

/* ---- options ---- */

static int cpus_option_of(struct app *app, struct spec *spec)
{
	int code = parse_cpus(app, "--cpus", optarg, &spec->cpus);

	if (!code && spec->cpus.mode == CPUS_LIST)
		code = usage_error(app, "--cpus %s: can be follow or keep here", optarg);
	spec->has_cpus = true;
	return code;
}

int spec_option(struct app *app, int c, struct spec *spec)
{
	if (c == OPT_WITH_CPUS)
		return cpus_option_of(app, spec);
	if (spec->kind != SPEC_FILE)
		return usage_error(app, "only one of --swap, --evict and --balance");
	if (c == OPT_EVICT) {
		spec->kind = SPEC_EVICT;
		return parse_nodes(app, "--evict", optarg, &spec->nodes);
	}
	spec->kind = c == OPT_SWAP ? SPEC_SWAP : SPEC_BALANCE;
	return 0;
}

/* Are these the arguments that go with the options? 0, or an exit code. */
int spec_check(struct app *app, const struct spec *spec, char **arguments)
{
	size_t count = 0;

	while (arguments[count])
		count++;
	if (spec->kind == SPEC_SWAP && count != 2)
		return usage_error(app, "--swap: takes two cgroups");
	if ((spec->kind == SPEC_EVICT || spec->kind == SPEC_BALANCE) && count)
		return usage_error(app, "%s: not together with --evict or --balance",
				   arguments[0]);
	if (spec->kind == SPEC_FILE && !arguments[0])
		return usage_error(app, "name a file, or one of --swap, --evict and --balance");
	if (spec->kind == SPEC_FILE && count > 1)
		return usage_error(app, "one file at a time");
	return 0;
}

/* What is wanted, from arguments that were checked. The context is open. */
int spec_read(struct app *app, const struct spec *spec, char **arguments,
	      struct wishes *wishes)
{
	wishes->found = spec->kind == SPEC_EVICT || spec->kind == SPEC_BALANCE;
	switch (spec->kind) {
	case SPEC_SWAP:
		return spec_swap(app, arguments, wishes);
	case SPEC_EVICT:
		return spec_evict(app, &spec->nodes, wishes);
	case SPEC_BALANCE:
		return spec_balance(app, wishes);
	default:
		return arguments[0] ? read_file(app, arguments[0], spec->trusted, wishes) :
				      EXIT_USAGE;
	}
}
