// SPDX-License-Identifier: GPL-2.0
/* What stays on nodes that are to be emptied, because the plan does not move it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spec.h"

/* A cgroup that has nodes of its own, or none and nobody above it has. */
struct place {
	char *path;
	bool own;
	bool inside;		/* some of those nodes are its own: it could not be moved */
	uint64_t bytes;		/* on those nodes, with what is below it */
	uint64_t left;		/* without those below it that are in the list */
};

struct places {
	const cgm_nodeset *nodes;
	struct place *list;
	size_t count;
};

static uint64_t bytes_on(const struct cgm_placement *placement, const cgm_nodeset *nodes)
{
	uint64_t sum = 0;

	for (int n = cgm_nodeset_next(nodes, -1); n >= 0; n = cgm_nodeset_next(nodes, n))
		sum += cgm_placement_bytes(placement, CGM_KIND_MOVABLE, n);
	return sum;
}

static int read_bytes(struct cgm_group *group, const cgm_nodeset *nodes, uint64_t *bytes)
{
	struct cgm_placement *placement;
	int err = cgm_placement_read(group, 0, &placement);

	if (err)
		return err;
	*bytes = bytes_on(placement, nodes);
	cgm_placement_free(placement);
	return 0;
}

static void look_at_nodes(struct cgm_group *group, const cgm_nodeset *nodes,
			  struct place *place)
{
	cgm_nodeset mems, both;

	if (!cgm_group_has_cpuset(group) || cgm_group_mems(group, &mems))
		return;
	cgm_nodeset_and(&both, &mems, nodes);
	place->own = cgm_nodeset_weight(&mems);
	place->inside = cgm_nodeset_weight(&both);
}

static int add_place(struct cgm_group *group, void *data)
{
	struct places *places = data;
	const char *path = cgm_group_path(group);
	struct place *more, place = { 0 };
	int err;

	look_at_nodes(group, places->nodes, &place);
	if (!strcmp(path, "/") || (!place.own && strrchr(path, '/') != path))
		return 0;
	err = read_bytes(group, places->nodes, &place.bytes);
	if (err)
		return err == -ENOENT || err == -ENODEV ? 0 : err;
	place.left = place.bytes;
	place.path = strdup(path);
	more = realloc(places->list, (places->count + 1) * sizeof(*more));
	if (more)
		places->list = more;
	if (!place.path || !more) {
		free(place.path);
		return -ENOMEM;
	}
	more[places->count++] = place;
	return 0;
}

/* The numbers of a cgroup contain those of the ones below it, which come later. */
static void take_from_above(struct places *places, size_t index)
{
	const struct place *place = &places->list[index];

	for (size_t i = index; i-- > 0;) {
		struct place *above = &places->list[i];
		size_t len = strlen(above->path);

		if (strncmp(place->path, above->path, len) || place->path[len] != '/')
			continue;
		above->left -= place->bytes < above->left ? place->bytes : above->left;
		return;
	}
}

static bool is_moved(const struct place *place, const struct wishes *wishes)
{
	for (size_t i = 0; i < wishes->count; i++)
		if (!strcmp(place->path, wishes->list[i].cgroup))
			return true;
	return false;
}

static void note_place(struct app *app, const struct place *place, struct wishes *wishes)
{
	char size[32], *word;

	size_text(app, place->left, size, sizeof(size));
	if (!place->own) {
		wishes_note(wishes, "note",
			    json_textf("%s: %s of that; it has no nodes of its own", place->path,
				       size));
	} else if (place->inside) {
		wishes_note(wishes, "note",
			    json_textf("%s: %s of that; it keeps its nodes", place->path, size));
	} else {
		word = shell_word(place->path);
		wishes_note(wishes, "note",
			    json_textf("%s: %s of that are outside its nodes: \"cgmigrate settle %s\" brings them in",
				       place->path, size, word ? word : "?"));
		free(word);
	}
}

static void note_places(struct app *app, const struct places *places, struct wishes *wishes)
{
	uint64_t sum = 0;
	char size[32], list[256];

	for (size_t i = 0; i < places->count; i++)
		if (!is_moved(&places->list[i], wishes))
			sum += places->list[i].left;
	if (!sum)
		return;
	wishes_note(wishes, "note",
		    json_sprintf("%s on node%s %s belong to cgroups that the plan does not move",
				 size_text(app, sum, size, sizeof(size)),
				 cgm_nodeset_weight(places->nodes) == 1 ? "" : "s",
				 nodes_text(places->nodes, list, sizeof(list))));
	for (size_t i = 0; i < places->count; i++)
		if (places->list[i].left && !is_moved(&places->list[i], wishes))
			note_place(app, &places->list[i], wishes);
}

/* Note in @wishes what of these nodes' memory they leave there. 0, or an exit code. */
int spec_left(struct app *app, const cgm_nodeset *nodes, struct wishes *wishes)
{
	struct places places = { .nodes = nodes };
	struct cgm_group *root;
	int err = cgm_group_open(app->ctx, "/", &root);

	if (!err) {
		err = cgm_group_walk(root, add_place, &places);
		cgm_group_unref(root);
	}
	for (size_t i = 0; i < places.count; i++)
		take_from_above(&places, i);
	if (!err)
		note_places(app, &places, wishes);
	for (size_t i = 0; i < places.count; i++)
		free(places.list[i].path);
	free(places.list);
	return err ? fail_errno(app, err) : 0;
}
