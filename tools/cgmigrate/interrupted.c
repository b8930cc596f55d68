// SPDX-License-Identifier: GPL-2.0
/*
 * What a move that was killed has left, and how to finish it. A stock kernel's
 * cpuset has the old nodes, the old and the new ones, or the new ones then; one that
 * processes were to enter has its own nodes, or for a while theirs, too. The engine
 * goes on by itself.
 */
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

static bool nodes_of(const json_t *target, const char *key, cgm_nodeset *set)
{
	const char *list = json_string_value(json_object_get(target, key));

	cgm_nodeset_clear(set);
	return list && !cgm_nodeset_parse(list, set);
}

enum stage { STAGE_OLD, STAGE_BOTH, STAGE_NEW, STAGE_OUT, STAGE_IN, STAGE_FOREIGN };

static const char * const stage_names[] = {
	[STAGE_OLD] = "old nodes",
	[STAGE_BOTH] = "old and new nodes",
	[STAGE_NEW] = "new nodes",
	[STAGE_OUT] = "its own nodes, processes not there yet",
	[STAGE_IN] = "its own nodes, processes there",
	[STAGE_FOREIGN] = "changed by somebody else",
};

static enum stage stage_of(const cgm_nodeset *now, const cgm_nodeset *from,
			   const cgm_nodeset *to)
{
	cgm_nodeset both;

	cgm_nodeset_or(&both, from, to);
	if (cgm_nodeset_equal(now, to))
		return STAGE_NEW;
	if (cgm_nodeset_equal(now, from))
		return STAGE_OLD;
	return cgm_nodeset_equal(now, &both) ? STAGE_BOTH : STAGE_FOREIGN;
}

/* Give @put_back what the records of killed commands have under a key, till it is done. */
void interrupted_walk(struct app *app, const char *key, put_back_fn put_back, bool dry)
{
	json_t *records = records_read(app), *record, *left;
	size_t i, j;

	json_array_foreach(records, i, record) {
		const char *id = json_string_value(json_object_get(record, "job"));
		json_t *list = json_object_get(record, key);
		bool done = true;

		if (!id || !list || !record_unwatched(record))
			continue;
		json_array_foreach(list, j, left)
			done &= put_back(app, id, left, dry);
		if (done && !dry)
			record_forget(app, id, key);
	}
	json_decref(records);
}

/*
 * Put back, or end, what killed commands have left, where nothing moves any more. A
 * command that is to change nothing only tells of it (@dry).
 */
void interrupted_put_back(struct app *app, bool dry)
{
	rates_put_back(app, dry);
	cache_put_back(app, dry);
	migrate_put_back(app, dry);
	cpus_put_back(app, dry);
	freeze_remind(app, dry);
}

static json_t *way_by_settle(const char *path, const json_t *target)
{
	char *word = shell_word(path);
	json_t *way = json_textf("cgmigrate settle %s%s", word, cache_option(target));

	free(word);
	return way;
}

/* @pids: words, each after a space. */
static json_t *way_by_attach(const char *pids, const char *path)
{
	char *word = shell_word(path);
	json_t *way = json_textf("cgmigrate move%s --into %s", pids, word);

	free(word);
	return way;
}

/* NULL where nothing is to be moved. */
static json_t *way_by_move(const char *path, const cgm_nodeset *now, const cgm_nodeset *to,
			   const json_t *target, bool back)
{
	char list[NODES_TEXT_MAX], cpus[NODES_TEXT_MAX + 16], map[2048], *word;
	cgm_nodeset other;
	json_t *way;

	if (!map_option(target, now, back, map, sizeof(map)) &&
	    nodes_of(target, back ? "to" : "from", &other) && cgm_nodeset_equal(&other, to))
		return NULL;
	word = shell_word(path);
	way = json_textf("cgmigrate move %s --to %s%s%s%s", word,
			 nodes_text(to, list, sizeof(list)), map,
			 back ? "" : cache_option(target),
			 cpus_option(target, back ? "before" : "after", cpus, sizeof(cpus)));
	free(word);
	return way;
}

/* Has another the number of this process by now? Older records do not tell. */
static bool is_another(const struct app *app, json_int_t pid, json_int_t start)
{
	char name[64], stat[1024], now[32];

	if (!start)
		return false;
	snprintf(name, sizeof(name), "proc/%" JSON_INTEGER_FORMAT "/stat", pid);
	read_text(app, name, stat, sizeof(stat));
	stat_start(stat, now, sizeof(now));
	return strtoll(now, NULL, 10) != start;
}

/*
 * Those that are elsewhere, as words of a command. "": all have come, or are gone. To be
 * given to free(3); NULL is a shortage.
 */
static char *absent(struct app *app, const json_t *target, const char *path)
{
	const json_t *starts = json_object_get(target, "starts"), *value;
	struct cgm_group *group;
	char *words = NULL;
	size_t i, len;
	FILE *out = open_memstream(&words, &len);

	json_array_foreach(out ? json_object_get(target, "pids") : NULL, i, value) {
		json_int_t pid = json_integer_value(value);

		if (is_another(app, pid, json_integer_value(json_array_get(starts, i))) ||
		    cgm_group_open_pid(app->ctx, pid, &group))
			continue;
		if (strcmp(cgm_group_path(group), path))
			fprintf(out, " %" JSON_INTEGER_FORMAT, pid);
		cgm_group_unref(group);
	}
	if (out && !fclose(out))
		return words;
	free(words);
	shortage_note();
	return NULL;
}

/* Processes that were to enter a cgroup, which has these nodes now. */
static json_t *look_at_attach(struct app *app, const json_t *target, const char *path,
			      const cgm_nodeset *now)
{
	cgm_nodeset from, to;
	enum stage stage;
	json_t *found;
	char *words;

	if (!nodes_of(target, "from", &from) || !nodes_of(target, "to", &to))
		return NULL;
	words = absent(app, target, path);
	if (!words)
		return NULL;
	/* One without nodes of its own was never widened. */
	stage = cgm_nodeset_weight(now) ? stage_of(now, &from, &to) : STAGE_NEW;
	if (stage == STAGE_NEW)
		stage = *words ? STAGE_OUT : STAGE_IN;
	else if (stage == STAGE_OLD && !cgm_nodeset_subset(&to, &from))
		stage = STAGE_FOREIGN;
	else if (stage == STAGE_OLD)	/* theirs, and so both */
		stage = STAGE_BOTH;
	found = json_pack("{s:s, s:s, s:o}", "cgroup", path, "stage", stage_names[stage],
			  "mems", json_nodes(now));
	if (stage == STAGE_OUT)
		json_object_set_new(found, "finish",
				    way_by_attach(words, path));
	else if (stage == STAGE_IN)
		json_object_set_new(found, "finish", way_by_settle(path, target));
	else if (stage == STAGE_BOTH)
		json_object_set_new(found, "finish", way_by_move(path, now, &to, target, false));
	free(words);
	return found;
}

static json_t *look_at_mems(const json_t *target, const char *path, const cgm_nodeset *now)
{
	cgm_nodeset from, to, mixed;
	enum stage stage;
	json_t *found;

	if (!nodes_of(target, "from", &from) || !nodes_of(target, "to", &to))
		return NULL;
	stage = stage_of(now, &from, &to);
	found = json_pack("{s:s, s:s, s:o}", "cgroup", path, "stage", stage_names[stage],
			  "mems", json_nodes(now));
	if (stage == STAGE_NEW && map_is_plain(target))
		json_object_set_new(found, "finish", way_by_settle(path, target));
	else if (stage != STAGE_FOREIGN)
		json_object_set_new(found, "finish", way_by_move(path, now, &to, target, false));
	if (stage == STAGE_NEW || stage == STAGE_BOTH)
		json_object_set_new(found, "undo", way_by_move(path, now, &from, target, true));
	if ((stage == STAGE_NEW || stage == STAGE_BOTH) && map_mixed(target, &mixed))
		json_object_set_new(found, "mixed", json_nodes(&mixed));
	return found;
}

/* One target of a move of memory: NULL for others, and where it is gone. */
static json_t *look_at(struct app *app, const json_t *target)
{
	const char *path = json_string_value(json_object_get(target, "cgroup"));
	const char *action = json_string_value(json_object_get(target, "action"));
	bool mems = action && !strcmp(action, "mems");
	struct cgm_group *group;
	cgm_nodeset now;
	int err;

	if (!path || (!mems && (!action || strcmp(action, "attach"))) ||
	    cgm_group_open(app->ctx, path, &group))
		return NULL;
	err = cgm_group_mems(group, &now);
	cgm_group_unref(group);
	if (err)
		return NULL;
	return mems ? look_at_mems(target, path, &now) :
		      look_at_attach(app, target, path, &now);
}

/* For a record of a killed command: where each of its cpusets stands. */
json_t *interrupted_state(struct app *app, const json_t *record)
{
	json_t *list = json_array(), *target, *found;
	size_t i;

	json_array_foreach(json_object_get(record, "targets"), i, target) {
		found = look_at(app, target);
		if (found)
			json_array_append_new(list, found);
	}
	return list;
}

void print_interrupted(const json_t *list)
{
	const char *cgroup, *stage, *mems, *finish, *undo, *mixed;
	json_t *found;
	size_t i;

	json_array_foreach(list, i, found) {
		finish = undo = mixed = NULL;
		if (json_unpack(found, "{s:s, s:s, s:s, s?s, s?s, s?s}", "cgroup", &cgroup,
				"stage", &stage, "mems", &mems, "finish", &finish, "undo",
				&undo, "mixed", &mixed))
			continue;
		say("%s: cpuset.mems is %s: %s\n", cgroup, *mems ? mems : "empty", stage);
		if (finish)
			say("to finish:  %s\n", finish);
		if (undo)
			say("to go back: %s\n", undo);
		if (mixed)
			say(MIXED_TEXT "\n", mixed);
	}
}
