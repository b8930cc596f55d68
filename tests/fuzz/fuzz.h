/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the fuzz programs share. Each has one function, which libFuzzer, or replay.c,
 * calls with one input after the other.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <libcgmigrate.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What has to hold whatever the input is. */
#define CHECK(condition) \
	do { \
		if (!(condition)) \
			fuzz_failed(#condition, __FILE__, __LINE__); \
	} while (0)

void fuzz_failed(const char *condition, const char *file, int line)
	__attribute__((noreturn));

/* The input as text, with a NUL behind its last byte and nothing else behind that. */
char *fuzz_text(const uint8_t *data, size_t size);

/* Nobody reads what is printed. */
void fuzz_silence(void);

/* Is it a list that means the same when it is written and read again? */
void fuzz_check_nodes(const cgm_nodeset *set);

/* machine.c: a machine of four nodes as a file tree, made once. */
const char *machine_dir(void);
/* Parts of a text that begin with a line "@" and a name, one after the other. */
void machine_parts(const char *text, size_t size,
		   void (*fn)(const char *name, const char *text, size_t len));
/* Another text for one of its files, until machine_reset(). False: has no such file. */
bool machine_put(const char *name, const void *text, size_t len);
void machine_reset(void);
struct cgm_context *machine_context(void);

/* command.c: verbs of the command on that machine. */
struct app;

/* The words begin with the name of the verb, and end with NULL. */
int command_run_words(int (*verb)(struct app *app, int argc, char **argv),
		      const char *const *words);

#define command_run(verb, ...) \
	command_run_words(verb, (const char *const[]){ __VA_ARGS__, NULL })

#endif /* FUZZ_H */
