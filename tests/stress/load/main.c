// SPDX-License-Identifier: GPL-2.0
/*
 * Which actor to be.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "numastress.h"

static void usage(void)
{
	fputs("Usage: numastress create BOARD SEED\n"
	      "       numastress keep BOARD SLOT KIND WORKERS OPS NODES FOLDER [GROUP...]\n"
	      "       numastress act BOARD SLOT ROLE NODES [GROUP...]\n"
	      "       numastress phase BOARD NUMBER\n"
	      "       numastress show BOARD [traces]\n"
	      "       numastress kinds\n"
	      "Actors of tests/stress/run, which starts them. NODES: a mask, hexadecimal.\n",
	      stderr);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "exec"))
		return exec_main(argc - 2, argv + 2);
	if (!strcmp(verb, "keep"))
		return keeper_main(argc - 2, argv + 2);
	if (!strcmp(verb, "act"))
		return outsider_main(argc - 2, argv + 2);
	if (!strcmp(verb, "show") && argc > 2) {
		show_board(argv[2], argc > 3);
		return 0;
	}
	if (!strcmp(verb, "kinds")) {
		kinds_print();
		return 0;
	}
	if (!strcmp(verb, "create") && argc == 4) {
		board_create(argv[2], strtoull(argv[3], NULL, 10));
		return 0;
	}
	if (!strcmp(verb, "phase") && argc == 4) {
		board_open(argv[2]);
		atomic_store(&board->phase, atoi(argv[3]));
		return 0;
	}
	usage();
	return 2;
}
