// SPDX-License-Identifier: GPL-2.0
/* What a program that uses libcgmigrate may look like: its version, and a number. */
#include <libcgmigrate.h>
#include <stdio.h>

int main(void)
{
	cgm_nodeset nodes;
	struct cgm_context *ctx;

	if (cgm_context_new(&ctx, NULL) || cgm_nodeset_parse("0,2-3", &nodes))
		return 1;
	printf("%s %d\n", cgm_version(), cgm_nodeset_weight(&nodes));
	cgm_context_free(ctx);
	return 0;
}
