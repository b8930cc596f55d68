// SPDX-License-Identifier: GPL-2.0
/* Verbs of the command on the machine, as main() calls them. */
#include "fuzz.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cgmigrate.h"

#define WORDS_MAX 16

int command_run(int (*verb)(struct app *app, int argc, char **argv), const char *name, ...)
{
	char *argv[WORDS_MAX] = { (char *)name }, *sysroot;
	struct app app = { .verb = name, .argv = argv };
	int argc = 1, code;
	va_list ap;

	fuzz_silence();
	CHECK(asprintf(&sysroot, "--sysroot=%s", machine_dir()) > 0);
	argv[argc++] = sysroot;
	va_start(ap, name);
	while ((argv[argc] = va_arg(ap, char *))) {
		app.json |= !strcmp(argv[argc], "-J");
		argc++;
		CHECK(argc < WORDS_MAX);
	}
	va_end(ap);
	optind = 0;	/* glibc's way to start anew */
	code = verb(&app, argc, argv);
	cgm_context_free(app.ctx);
	free(sysroot);
	CHECK(code >= EXIT_OK && code <= EXIT_SUPERSEDED);
	return code;
}
