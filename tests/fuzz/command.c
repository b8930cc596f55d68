// SPDX-License-Identifier: GPL-2.0
/* Verbs of the command on the machine, as main() calls them. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

#define WORDS_MAX 16

int command_run_words(int (*verb)(struct app *app, int argc, char **argv),
		      const char *const *words)
{
	char *argv[WORDS_MAX] = { (char *)*words }, *sysroot;
	struct app app = { .verb = *words, .argv = argv };
	int argc = 1, code;

	fuzz_silence();
	CHECK(asprintf(&sysroot, "--sysroot=%s", machine_dir()) > 0);
	argv[argc++] = sysroot;
	while (*++words) {
		app.json |= !strcmp(*words, "-J");
		argv[argc++] = (char *)*words;
		CHECK(argc < WORDS_MAX);
	}
	optind = 0;	/* glibc's way to start anew */
	code = verb(&app, argc, argv);
	cgm_context_free(app.ctx);
	free(sysroot);
	CHECK(code >= EXIT_OK && code <= EXIT_SUPERSEDED);
	return code;
}
