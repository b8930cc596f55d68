// SPDX-License-Identifier: GPL-2.0
/* What plan and apply read: cgconfig.conf, a list or a plan as JSON. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "spec.h"

static int read_spec(const void *text, size_t len, struct wishes *wishes)
{
	struct app app = { .verb = "plan", .quiet = true };
	struct spec spec = { .kind = SPEC_FILE };
	char *arguments[2] = { NULL, NULL };
	int code;

	CHECK(machine_put("plan", text, len));
	CHECK(asprintf(&arguments[0], "%s/plan", machine_dir()) > 0);
	code = spec_read(&app, &spec, arguments, wishes);
	CHECK(!code == !*app.error);
	CHECK(code == EXIT_OK || code == EXIT_USAGE);
	free(arguments[0]);
	return code;
}

static void check_same(const struct wishes *a, const struct wishes *b, bool from)
{
	CHECK(a->count == b->count);
	for (size_t i = 0; i < a->count; i++) {
		const struct wish *x = &a->list[i], *y = &b->list[i];

		CHECK(!strcmp(x->cgroup, y->cgroup));
		CHECK(cgm_nodeset_equal(&x->to, &y->to));
		CHECK(!from || x->has_from == y->has_from);
		CHECK(!from || !x->has_from || cgm_nodeset_equal(&x->from, &y->from));
	}
}

/* As a plan names them. */
static void check_as_json(const struct wishes *wishes)
{
	json_t *targets = json_array(), *object, *target;
	struct wishes again = { 0 };
	char *text;

	for (size_t i = 0; i < wishes->count; i++) {
		const struct wish *wish = &wishes->list[i];

		if (!json_can_name(wish->cgroup))
			break;
		target = json_pack("{s:s, s:o}", "cgroup", wish->cgroup, "to",
				   json_nodes(&wish->to));
		if (wish->has_from)
			json_object_set_new(target, "from", json_nodes(&wish->from));
		json_array_append_new(targets, target);
	}
	if (json_array_size(targets) < wishes->count) {
		json_decref(targets);
		return;
	}
	object = json_pack("{s:o}", "targets", targets);
	text = json_dumps(object, 0);
	CHECK(text);
	json_decref(object);
	CHECK(!read_spec(text, strlen(text), &again));
	check_same(wishes, &again, true);
	wishes_free(&again);
	free(text);
}

/* As cgconfig.conf does, which has no "from" and no empty list. */
static void check_as_groups(const struct wishes *wishes)
{
	struct wishes again = { 0 };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	bool fits = wishes->count;

	for (size_t i = 0; i < wishes->count; i++) {
		const struct wish *wish = &wishes->list[i];
		char nodes[4096];

		fits &= wish->cgroup[0] == '/' && strlen(wish->cgroup) < 1000 &&
			!strchr(wish->cgroup, '"') && cgm_nodeset_weight(&wish->to) &&
			cgm_nodeset_format(&wish->to, nodes, sizeof(nodes)) < 1000;
		if (fits)
			fprintf(out, "group \"%s\" {\n\tcpuset { cpuset.mems = \"%s\"; }\n}\n",
				wish->cgroup, nodes);
	}
	CHECK(!fclose(out));
	if (fits) {
		CHECK(!read_spec(text, len, &again));
		check_same(wishes, &again, false);
		wishes_free(&again);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wishes wishes = { 0 };

	fuzz_silence();
	if (!read_spec(data, size, &wishes)) {
		check_as_json(&wishes);
		check_as_groups(&wishes);
	}
	wishes_free(&wishes);
	return 0;
}
