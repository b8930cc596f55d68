// SPDX-License-Identifier: GPL-2.0
/* cgmigrate show --nodes: the nodes themselves, whoever has their memory. */
#include <string.h>

#include "show.h"

json_t *show_json_nodes(const struct show *show)
{
	const cgm_nodeset *nodes = &show->app->features.memory;
	json_t *list = json_array();

	for (int n = cgm_nodeset_next(nodes, -1); n >= 0; n = cgm_nodeset_next(nodes, n)) {
		struct cgm_node node = { .size = sizeof(node) };
		int err = cgm_node_read(show->app->ctx, n, &node);

		shortage_note_error(err);
		if (err)
			continue;
		json_array_append_new(list,
			json_pack("{s:i, s:I, s:I, s:I, s:I, s:I}", "node", n,
				  "total", (json_int_t)node.total,
				  "free", (json_int_t)node.free,
				  "low_watermark", (json_int_t)node.low,
				  "room", (json_int_t)node.free - (json_int_t)node.low,
				  "reclaimable", (json_int_t)node.reclaimable));
	}
	return list;
}

char *show_nodes(const struct show *show)
{
	static const struct node_column columns[] = {
		{ "TOTAL", "total" }, { "FREE", "free" }, { "ROOM", "room" },
		{ "CACHE", "reclaimable" },
	};
	json_t *nodes = show_json_nodes(show);
	struct libscols_table *table = node_table(show->app, nodes, columns,
						  ARRAY_SIZE(columns));
	char *text = NULL;

	if (table && scols_table_get_nlines(table))
		scols_print_table_to_string(table, &text);
	else if (table)
		text = strdup("");
	scols_unref_table(table);
	json_decref(nodes);
	return text;
}
