// SPDX-License-Identifier: GPL-2.0
/* What systemd is asked with: the test is libsystemd, and systemd, too. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wrap.h"
#include "systemd.h"

static int opened, closed;
static int lost;	/* the next question finds the connection closed */
static pid_t owner;	/* of the connection */

static int open_bus(void **bus)
{
	*bus = malloc(1);
	owner = getpid();
	opened++;
	return 0;
}

static int succeed(void)
{
	return 0;
}

static void *close_bus(void *bus)
{
	closed++;
	free(bus);
	return NULL;
}

static int new_call(void *bus, void **m)
{
	*m = malloc(1);
	return bus ? 0 : -EINVAL;
}

static int call(void)
{
	return owner == getpid() ? 1 : -ECHILD;
}

static int get_property(void *bus, const char *service, const char *path,
			const char *interface, const char *member, void *error, void **reply)
{
	(void)service;
	(void)path;
	(void)interface;
	(void)member;
	(void)error;
	return new_call(bus, reply);
}

static int get_string(void *bus, const char *service, const char *path,
		      const char *interface, const char *member, void *error, char **value)
{
	(void)bus;
	(void)service;
	(void)path;
	(void)interface;
	(void)member;
	(void)error;
	if (lost) {
		lost = 0;
		return -ECONNRESET;
	}
	*value = strdup("/web");
	return call();
}

static int read_array(void *m, char type, const void **data, size_t *size)
{
	static const uint8_t mask = 6;

	(void)m;
	(void)type;
	*data = &mask;
	*size = 1;
	return 1;
}

static void *unref(void *m)
{
	free(m);
	return NULL;
}

static int path_encode(const char *prefix, const char *name, char **path)
{
	(void)name;
	*path = strdup(prefix);
	return 0;
}

void *__wrap_dlopen(const char *file, int flags)
{
	(void)flags;
	return strcmp(file, "libsystemd.so.0") ? NULL : &opened;
}

void *__wrap_dlsym(void *handle, const char *name)
{
	static const struct {
		const char *name;
		void *symbol;
	} symbols[] = {
		{ "sd_bus_new", open_bus },
		{ "sd_bus_open_system", open_bus },
		{ "sd_bus_flush_close_unref", close_bus },
		{ "sd_bus_message_new_method_call", new_call },
		{ "sd_bus_call", call },
		{ "sd_bus_get_property", get_property },
		{ "sd_bus_get_property_string", get_string },
		{ "sd_bus_message_read_array", read_array },
		{ "sd_bus_message_unref", unref },
		{ "sd_bus_path_encode", path_encode },
	};

	assert_ptr_equal(handle, &opened);
	for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++)
		if (!strcmp(symbols[i].name, name))
			return symbols[i].symbol;
	return succeed;
}

int __wrap_dlclose(void *handle)
{
	assert_ptr_equal(handle, &opened);
	return 0;
}

static int setup(void **state)
{
	static const uint64_t nothing[4];
	struct fixture *f = fixture_new(0);

	tree_cgroup(&f->tree, "/web", "0-1", nothing);
	fixture_open(f);
	opened = closed = lost = 0;
	*state = f;
	return 0;
}

static void ask(struct fixture *f)
{
	cgm_nodeset mems;

	assert_int_equal(systemd_get_mems(f->group, "web.service", &mems), 0);
	assert_int_equal(cgm_nodeset_weight(&mems), 2);
	assert_true(cgm_nodeset_has(&mems, 1) && cgm_nodeset_has(&mems, 2));
}

static void one_connection(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		ask(f);
	assert_int_equal(opened, 1);
	assert_int_equal(closed, 0);
	systemd_close(f->ctx);
	assert_int_equal(closed, 1);
}

static void connects_again(void **state)
{
	struct fixture *f = *state;

	ask(f);
	lost = 1;
	ask(f);
	assert_int_equal(opened, 2);
	assert_int_equal(closed, 1);
}

/* What goes on with the job of another process has that one's context. */
static void child_connects_itself(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid;

	ask(f);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		cgm_nodeset mems;

		_exit(systemd_get_mems(f->group, "web.service", &mems) || opened != 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	ask(f);
	assert_int_equal(opened, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_connection, setup, fixture_end),
		cmocka_unit_test_setup_teardown(connects_again, setup, fixture_end),
		cmocka_unit_test_setup_teardown(child_connects_itself, setup, fixture_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
