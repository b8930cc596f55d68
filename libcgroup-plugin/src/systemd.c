// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Short conversations with systemd about its units, over one connection for each context.
 * libsystemd is opened when it is needed: machines without systemd need not have it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "systemd.h"

#define SERVICE "org.freedesktop.systemd1"
#define PRIVATE_SOCKET "unix:path=/run/systemd/private"

struct bus;
struct message;

struct bus_error {
	const char *name;
	const char *message;
	int need_free;
};

/* What is used of libsystemd, as <systemd/sd-bus.h> declares it. */
struct library {
	int (*new_bus)(struct bus **bus);
	int (*set_address)(struct bus *bus, const char *address);
	int (*start)(struct bus *bus);
	int (*open_system)(struct bus **bus);
	struct bus *(*close_bus)(struct bus *bus);
	int (*new_call)(struct bus *bus, struct message **m, const char *service,
			const char *path, const char *interface, const char *member);
	int (*append)(struct message *m, const char *types, ...);
	int (*open_container)(struct message *m, char type, const char *contents);
	int (*append_array)(struct message *m, char type, const void *data, size_t size);
	int (*close_container)(struct message *m);
	int (*call)(struct bus *bus, struct message *m, uint64_t usec,
		    struct bus_error *error, struct message **reply);
	int (*get_property)(struct bus *bus, const char *service, const char *path,
			    const char *interface, const char *member,
			    struct bus_error *error, struct message **reply,
			    const char *type);
	int (*get_string)(struct bus *bus, const char *service, const char *path,
			  const char *interface, const char *member,
			  struct bus_error *error, char **value);
	int (*read_array)(struct message *m, char type, const void **data, size_t *size);
	struct message *(*unref)(struct message *m);
	void (*error_free)(struct bus_error *error);
	int (*path_encode)(const char *prefix, const char *name, char **path);
};

/* What a context has: the library, and a connection once one was needed. */
struct systemd {
	struct library lib;
	void *handle;
	struct bus *bus;
	pid_t pid;		/* who has connected; a child has to do so again */
};

/* One conversation, about one unit. */
struct talk {
	struct cgm_group *group;
	const char *unit;
	const char *interface;	/* of units of this kind */
	char *path;		/* of the unit on the bus */
	struct systemd *sd;
	struct bus_error error;
};

/* The D-Bus interface of units of this kind; NULL: not a unit that has a cgroup. */
const char *unit_interface(const char *unit, size_t len)
{
	static const struct {
		const char *suffix;
		const char *name;
	} kinds[] = {
		{ ".service", SERVICE ".Service" }, { ".scope", SERVICE ".Scope" },
		{ ".slice", SERVICE ".Slice" }, { ".socket", SERVICE ".Socket" },
		{ ".mount", SERVICE ".Mount" }, { ".swap", SERVICE ".Swap" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t n = strlen(kinds[i].suffix);

		if (len > n && !strncmp(unit + len - n, kinds[i].suffix, n))
			return kinds[i].name;
	}
	return NULL;
}

/* Returns the first symbol that is missing, or NULL. */
static const char *find_symbols(void *handle, struct library *lib)
{
	const struct {
		const char *name;
		void *slot;
	} symbols[] = {
		{ "sd_bus_new", &lib->new_bus },
		{ "sd_bus_set_address", &lib->set_address },
		{ "sd_bus_start", &lib->start },
		{ "sd_bus_open_system", &lib->open_system },
		{ "sd_bus_flush_close_unref", &lib->close_bus },
		{ "sd_bus_message_new_method_call", &lib->new_call },
		{ "sd_bus_message_append", &lib->append },
		{ "sd_bus_message_open_container", &lib->open_container },
		{ "sd_bus_message_append_array", &lib->append_array },
		{ "sd_bus_message_close_container", &lib->close_container },
		{ "sd_bus_call", &lib->call },
		{ "sd_bus_get_property", &lib->get_property },
		{ "sd_bus_get_property_string", &lib->get_string },
		{ "sd_bus_message_read_array", &lib->read_array },
		{ "sd_bus_message_unref", &lib->unref },
		{ "sd_bus_error_free", &lib->error_free },
		{ "sd_bus_path_encode", &lib->path_encode },
	};

	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *symbol = dlsym(handle, symbols[i].name);

		if (!symbol)
			return symbols[i].name;
		memcpy(symbols[i].slot, &symbol, sizeof(symbol));
	}
	return NULL;
}

static int load(struct talk *talk)
{
	struct cgm_context *ctx = talk->group->ctx;
	struct systemd *sd = ctx->systemd;
	const char *missing;

	if (!sd)
		sd = calloc(1, sizeof(*sd));
	if (!sd)
		return cgm_fail(ctx, ENOMEM, "out of memory");
	ctx->systemd = sd;
	talk->sd = sd;
	if (sd->handle)
		return 0;
	sd->handle = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!sd->handle)
		return cgm_fail(ctx, ENOPKG,
				"cannot ask systemd about %s: %s: install libsystemd",
				talk->unit, dlerror());
	missing = find_symbols(sd->handle, &sd->lib);
	if (!missing)
		return 0;
	dlclose(sd->handle);
	sd->handle = NULL;
	return cgm_fail(ctx, ENOPKG,
			"cannot ask systemd about %s: libsystemd is too old, it lacks %s",
			talk->unit, missing);
}

static void disconnect(struct systemd *sd)
{
	if (sd->bus)
		sd->lib.close_bus(sd->bus);
	sd->bus = NULL;
}

/* Is there a connection already? It is of no use after a fork. */
static bool is_connected(struct systemd *sd)
{
	if (sd->bus && sd->pid != getpid())
		disconnect(sd);
	return sd->bus;
}

/* Root may talk to systemd itself, also where no message bus runs. */
static int connect_to_systemd(struct talk *talk)
{
	struct systemd *sd = talk->sd;
	struct library *lib = &sd->lib;
	int err;

	sd->pid = getpid();
	if (!geteuid() && lib->new_bus(&sd->bus) >= 0) {
		err = lib->set_address(sd->bus, PRIVATE_SOCKET);
		if (err >= 0)
			err = lib->start(sd->bus);
		if (err >= 0)
			return 0;
		disconnect(sd);
	}
	err = lib->open_system(&sd->bus);
	if (err >= 0)
		return 0;
	sd->bus = NULL;
	return cgm_fail(talk->group->ctx, EHOSTDOWN,
			"cannot ask systemd about %s: no connection to the system's D-Bus (%s): start dbus.service, or become root",
			talk->unit, strerror(-err));
}

static void talk_end(struct talk *talk)
{
	if (talk->sd && talk->sd->handle)
		talk->sd->lib.error_free(&talk->error);
	free(talk->path);
}

/* Close what a context has. */
void systemd_close(struct cgm_context *ctx)
{
	struct systemd *sd = ctx->systemd;

	if (!sd)
		return;
	disconnect(sd);
	if (sd->handle)
		dlclose(sd->handle);
	free(sd);
	ctx->systemd = NULL;
}

/* Pass on what systemd said, and what can be done about it. */
static int refused(struct talk *talk, int err)
{
	const char *said = talk->error.message ? talk->error.message : strerror(-err);
	struct cgm_context *ctx = talk->group->ctx;

	switch (err) {
	case -EACCES:
	case -EPERM:
		return cgm_fail(ctx, err,
				"systemd does not let you change %s: %s: become root, or have polkit allow org.freedesktop.systemd1.manage-units",
				talk->unit, said);
	case -ETIMEDOUT:
		return cgm_fail(ctx, err,
				"systemd does not answer about %s: %s: is process 1 stuck?",
				talk->unit, said);
	default:
		return cgm_fail(ctx, err, "systemd refuses to change or tell of %s: %s",
				talk->unit, said);
	}
}

static int ask_cgroup(struct talk *talk, char **path)
{
	talk->sd->lib.error_free(&talk->error);
	return talk->sd->lib.get_string(talk->sd->bus, SERVICE, talk->path, talk->interface,
					"ControlGroup", &talk->error, path);
}

/* Has the other end closed the connection, as systemd does when it starts itself again? */
static bool is_lost(int err)
{
	return err == -ECONNRESET || err == -ENOTCONN || err == -EPIPE;
}

/*
 * Is the cgroup that of the unit? It is not when the unit was stopped or is
 * another instance's, whose units may have the same names.
 */
static int check_cgroup(struct talk *talk, bool is_old)
{
	struct cgm_context *ctx = talk->group->ctx;
	const char *root = ctx->cpuset.root;
	size_t len = strcmp(root, "/") ? strlen(root) : 0;
	char *path = NULL;
	int err = ask_cgroup(talk, &path);

	if (is_old && is_lost(err)) {
		disconnect(talk->sd);
		err = connect_to_systemd(talk);
		if (err)
			return err;
		err = ask_cgroup(talk, &path);
	}
	if (err < 0)
		return refused(talk, err);
	if (strncmp(path, root, len) || strcmp(path + len, talk->group->path))
		err = cgm_fail(ctx, ESTALE,
			       "%s: systemd's %s has %s cgroup%s%s: the unit was stopped, or belongs to another systemd",
			       talk->group->path, talk->unit, *path ? "another" : "no",
			       *path ? ", " : "", path);
	free(path);
	return err < 0 ? err : 0;
}

static int talk_start(struct talk *talk, struct cgm_group *group, const char *unit)
{
	bool is_old;
	int err;

	*talk = (struct talk){
		.group = group,
		.unit = unit,
		.interface = unit_interface(unit, strlen(unit)),
	};
	err = load(talk);
	if (err)
		return err;
	is_old = is_connected(talk->sd);
	err = is_old ? 0 : connect_to_systemd(talk);
	if (!err && talk->sd->lib.path_encode("/org/freedesktop/systemd1/unit", unit,
					      &talk->path) < 0)
		err = cgm_fail(group->ctx, ENOMEM, "out of memory");
	return err ? err : check_cgroup(talk, is_old);
}

/* A bit mask, the lowest node in the lowest bit of the first byte. */
static size_t bytes_of(const cgm_nodeset *mems, uint8_t *bytes)
{
	size_t size = 0;

	memset(bytes, 0, CGM_NODES_MAX / 8);
	for (int n = cgm_nodeset_next(mems, -1); n >= 0; n = cgm_nodeset_next(mems, n)) {
		bytes[n / 8] |= 1 << n % 8;
		size = n / 8 + 1;
	}
	return size;
}

/* SetUnitProperties(unit, runtime, [("AllowedMemoryNodes", mask)]) */
static int fill_message(const struct library *lib, struct message *m, const char *unit,
			const cgm_nodeset *mems, bool persist)
{
	uint8_t bytes[CGM_NODES_MAX / 8];
	size_t size = bytes_of(mems, bytes);
	int err = lib->append(m, "sb", unit, persist ? 0 : 1);

	if (err >= 0)
		err = lib->open_container(m, 'a', "(sv)");
	if (err >= 0)
		err = lib->open_container(m, 'r', "sv");
	if (err >= 0)
		err = lib->append(m, "s", "AllowedMemoryNodes");
	if (err >= 0)
		err = lib->open_container(m, 'v', "ay");
	if (err >= 0)
		err = lib->append_array(m, 'y', bytes, size);
	for (int i = 0; i < 3 && err >= 0; i++)
		err = lib->close_container(m);
	return err;
}

/*
 * Set the nodes of a unit, until the next boot or for good; none: it takes
 * those of its slice. systemd answers before it has written them.
 */
int systemd_set_mems(struct cgm_group *group, const char *unit, const cgm_nodeset *mems,
		     bool persist)
{
	struct message *m = NULL;
	struct talk talk;
	int err = talk_start(&talk, group, unit);

	if (!err) {
		err = talk.sd->lib.new_call(talk.sd->bus, &m, SERVICE, "/org/freedesktop/systemd1",
					SERVICE ".Manager", "SetUnitProperties");
		if (err >= 0)
			err = fill_message(&talk.sd->lib, m, unit, mems, persist);
		if (err >= 0)
			err = talk.sd->lib.call(talk.sd->bus, m, 0, &talk.error, NULL);
		err = err < 0 ? refused(&talk, err) : 0;
	}
	if (m)
		talk.sd->lib.unref(m);
	talk_end(&talk);
	return err;
}

/* The nodes systemd has for a unit; none where nothing is set. */
int systemd_get_mems(struct cgm_group *group, const char *unit, cgm_nodeset *mems)
{
	struct message *reply = NULL;
	const uint8_t *bytes = NULL;
	struct talk talk;
	size_t size = 0;
	int err = talk_start(&talk, group, unit);

	cgm_nodeset_clear(mems);
	if (!err) {
		err = talk.sd->lib.get_property(talk.sd->bus, SERVICE, talk.path, talk.interface,
					    "AllowedMemoryNodes", &talk.error, &reply,
					    "ay");
		if (err >= 0)
			err = talk.sd->lib.read_array(reply, 'y', (const void **)&bytes, &size);
		err = err < 0 ? refused(&talk, err) : 0;
	}
	for (size_t n = 0; !err && n < size * 8; n++)
		if (bytes[n / 8] >> n % 8 & 1)
			cgm_nodeset_add(mems, n);
	if (reply)
		talk.sd->lib.unref(reply);
	talk_end(&talk);
	return err;
}
