// SPDX-License-Identifier: GPL-2.0
/*
 * Job records: a file for each of the last hundred moves, as the command told
 * it with --json, and totals over all of them. A record is written before the
 * move starts and again at its end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../libcgroup-plugin/plugin/files.h"
#include "cgmigrate.h"

#define KEPT 100
#define TOTALS "totals.json"

struct record {
	int dirfd;
	char id[24];
	json_t *object;
};

static void file_name(char *buf, size_t size, const char *id)
{
	snprintf(buf, size, "%s.json", id);
}

/* The number of a job's name such as j17, 0 for anything else. */
long job_number(const char *text)
{
	char *end;
	long number;

	if (text[0] != 'j' || text[1] < '1' || text[1] > '9')
		return 0;
	errno = 0;
	number = strtol(text + 1, &end, 10);
	/* There has to be one more. */
	if (errno || number == LONG_MAX || (*end && strcmp(end, ".json")))
		return 0;
	return number;
}

static int compare_numbers(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* The numbers of all records, oldest first: to be given to free(3), also on failure. */
static int list_numbers(int dirfd, long **out, size_t *count)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	long *list = NULL, *more;
	struct dirent *entry;

	*out = NULL;
	*count = 0;
	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while ((entry = readdir(dir))) {
		long number = strstr(entry->d_name, ".json") ?
			      job_number(entry->d_name) : 0;

		if (!number)
			continue;
		more = realloc(list, (*count + 1) * sizeof(*list));
		if (!more) {
			err = -ENOMEM;
			break;
		}
		list = more;
		list[(*count)++] = number;
	}
	closedir(dir);
	if (*count)
		qsort(list, *count, sizeof(*list), compare_numbers);
	*out = list;
	return err;
}

/* When a process began, in what its "stat" has: as text, "" where it has ended. */
void stat_start(const char *stat, char *buf, size_t size)
{
	const char *p = strrchr(stat, ')');

	buf[0] = '\0';
	if (p && (!strncmp(p, ") Z", 3) || !strncmp(p, ") X", 3)))
		return;
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		snprintf(buf, size, "%.*s", (int)strcspn(p + 1, " \n"), p + 1);
}

/* When a process started, as text; "" when there is none, or it has ended. */
static void process_start(const struct app *app, pid_t pid, char *buf, size_t size)
{
	bool recorded = app->sysroot && !app->write_sysroot;
	char path[4096], stat[1024];
	ssize_t n;
	int fd;

	buf[0] = '\0';
	snprintf(path, sizeof(path), "%s/proc/%d/stat", recorded ? app->sysroot : "", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		shortage_note_error(-errno);
		return;
	}
	n = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	stat[n < 0 ? 0 : n] = '\0';
	stat_start(stat, buf, size);
}

static void set_process(const struct app *app, json_t *object)
{
	char start[32];

	process_start(app, getpid(), start, sizeof(start));
	json_object_set_new(object, "pid", json_integer(getpid()));
	json_object_set_new(object, "pid_start", json_text(start));
}

static bool is_alive(const struct app *app, const json_t *object)
{
	const char *then = json_string_value(json_object_get(object, "pid_start"));
	char now[32];

	process_start(app, json_integer_value(json_object_get(object, "pid")), now,
		      sizeof(now));
	return *now && then && !strcmp(now, then);
}

static json_t *json_time(time_t when)
{
	char text[32];
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &tm));
	return json_string(text);
}

/* Who runs this, as a string. */
json_t *user_name(void)
{
	struct passwd *user = getpwuid(getuid());
	char number[16];

	snprintf(number, sizeof(number), "%u", getuid());
	return json_text(user ? user->pw_name : number);
}

static const char *state_of(const json_t *object)
{
	const char *state = json_string_value(json_object_get(object, "state"));

	return state ? state : "";
}

/* What of a job that was killed is put back by what its record says. */
static const char * const owed[] = {
	"limits", "cpus", "caches", "frozen", "memory_migrate",
};

static const char *find_owed(const json_t *object)
{
	for (size_t i = 0; i < ARRAY_SIZE(owed); i++)
		if (json_array_size(json_object_get(object, owed[i])))
			return owed[i];
	return NULL;
}

/* Make room for one more; what runs is kept, and what is not put back yet. */
static void remove_old(const struct app *app, int dirfd, const long *list, size_t count)
{
	char id[24], name[32], why[FILE_WHY];

	for (size_t i = 0; i + KEPT <= count; i++) {
		json_t *object;

		snprintf(id, sizeof(id), "j%ld", list[i]);
		file_name(name, sizeof(name), id);
		if (state_unread(state_load(dirfd, name, &object, why)))
			continue;
		if (!object || strcmp(state_of(object), "running") ||
		    (!is_alive(app, object) && !find_owed(object) && !shortage()))
			unlinkat(dirfd, name, 0);
		json_decref(object);
	}
}

static int save(struct record *record)
{
	char name[32];

	file_name(name, sizeof(name), record->id);
	return state_save(record->dirfd, name, record->object, false);
}

/* Under the lock: no two jobs have one number. */
static int add_file(const struct app *app, struct record *record)
{
	size_t count;
	long *list;
	int err = list_numbers(record->dirfd, &list, &count);

	snprintf(record->id, sizeof(record->id), "j%ld", count ? list[count - 1] + 1 : 1);
	json_object_set_new(record->object, "job", json_string(record->id));
	if (!err)
		err = save(record);
	if (!err)
		remove_old(app, record->dirfd, list, count);
	free(list);
	return err;
}

/*
 * Start a record of what @plan says. NULL where none can be kept, because there is no
 * place that this user may write to, or no room: others_check() tells what that means.
 * But that jobs cannot be told from each other for want of memory or files is a shortage.
 */
struct record *record_new(struct app *app, const json_t *plan)
{
	struct record *record = calloc(1, sizeof(*record));
	json_t *arguments = json_array();
	int lock, err;

	app->owed = find_owed(plan);
	if (!record) {
		shortage_note();
		goto none;
	}
	record->dirfd = state_open(app, STATE_RUN, true, app->unrecorded);
	if (record->dirfd < 0) {
		shortage_note_error(record->dirfd);
		goto none;
	}
	for (char **arg = app->argv; *arg; arg++)
		json_array_append_new(arguments, json_text(*arg));
	record->object = json_copy((json_t *)plan);
	json_object_set(record->object, "arguments", arguments);
	json_object_set_new(record->object, "state", json_string("running"));
	json_object_set_new(record->object, "user", user_name());
	json_object_set_new(record->object, "started", json_time(time(NULL)));
	set_process(app, record->object);
	lock = state_lock(record->dirfd, true);
	err = lock < 0 ? lock : add_file(app, record);
	if (lock >= 0)
		close(lock);
	if (err) {
		snprintf(app->unrecorded, sizeof(app->unrecorded), "%s", strerror(-err));
		shortage_note_error(err);
		goto none;
	}
	json_decref(arguments);
	return record;
none:
	json_decref(arguments);
	record_free(record);
	return NULL;
}

void record_free(struct record *record)
{
	if (!record)
		return;
	if (record->dirfd >= 0)
		close(record->dirfd);
	json_decref(record->object);
	free(record);
}

/* The name of the job, NULL without a record. */
const char *record_id(const struct record *record)
{
	return record ? record->id : NULL;
}

/* What the record says; to be changed only before record_save(). */
json_t *record_object(const struct record *record)
{
	return record->object;
}

/* 0 or -errno. */
int record_save(struct record *record)
{
	return save(record);
}

#define PROGRESS "progress"	/* of a job that runs: how far it was a moment ago */

/* For those who look at it meanwhile; nobody misses it. */
void record_progress(struct record *record, const struct cgm_progress *progress)
{
	if (!record)
		return;
	json_object_set_new(record->object, PROGRESS,
		json_pack("{s:I, s:I, s:I, s:I, s:b}", "total", (json_int_t)progress->total,
			  "moved", (json_int_t)progress->moved, "stayed",
			  (json_int_t)progress->stayed, "elapsed_usec",
			  (json_int_t)progress->elapsed_usec, "held", progress->held));
	save(record);
}

static uint64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* How far a job that runs is, if its process has told that yet. */
bool record_has_progress(const json_t *object, struct cgm_progress *progress)
{
	const json_t *told = json_object_get(object, PROGRESS);

	if (!record_runs(object) || !json_is_object(told))
		return false;
	progress->total = number(told, "total");
	progress->moved = number(told, "moved");
	progress->stayed = number(told, "stayed");
	progress->elapsed_usec = number(told, "elapsed_usec");
	progress->held = json_is_true(json_object_get(told, "held"));
	return true;
}

/* This process takes the job over. On an error the record still names the one before. */
int record_take_over(const struct app *app, struct record *record)
{
	if (!record)
		return 0;
	set_process(app, record->object);
	return save(record);
}

/* Nothing was started after all. */
void record_drop(struct record *record)
{
	char name[32];

	if (!record)
		return;
	file_name(name, sizeof(name), record->id);
	unlinkat(record->dirfd, name, 0);
	record_free(record);
}

static void add_to(json_t *object, const char *key, uint64_t more)
{
	uint64_t had = json_integer_value(json_object_get(object, key));

	json_object_set_new(object, key, json_integer(had + more));
}

static json_t *member(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!json_is_object(value)) {
		json_object_set_new(object, key, json_object());
		value = json_object_get(object, key);
	}
	return value;
}

/* {"jobs": {command: {state: n}}, "bytes": {reason: b}, "usec": t, "last_end": s} */
static void add_totals(int dirfd, const json_t *object)
{
	json_t *result = json_object_get(object, "result"), *value, *totals;
	const char *command = json_string_value(json_object_get(object, "command"));
	int lock = state_lock(dirfd, true);
	char why[FILE_WHY];
	const char *reason;

	if (lock < 0)
		return;
	if (state_unread(state_load(dirfd, TOTALS, &totals, why)))
		goto out;	/* what was counted before is not to be lost */
	if (!totals)
		totals = json_object();
	add_to(member(member(totals, "jobs"), command), state_of(object), 1);
	json_object_foreach(json_object_get(result, "totals"), reason, value)
		add_to(member(totals, "bytes"), reason, json_integer_value(value));
	add_to(totals, "usec", json_integer_value(json_object_get(result, "elapsed_usec")));
	json_object_set_new(totals, "last_end", json_integer(time(NULL)));
	if (!shortage())
		state_save(dirfd, TOTALS, totals, false);
	json_decref(totals);
out:
	close(lock);
}

/* The end: @object is what --json tells of it. */
void record_end(const struct app *app, struct record *record, const json_t *object)
{
	if (!record)
		return;
	json_object_del(record->object, PROGRESS);
	json_object_update(record->object, (json_t *)object);
	json_object_set_new(record->object, "ended", json_time(time(NULL)));
	if (!save(record))
		add_totals(record->dirfd, record->object);
	entry_of_job(app, record->object);
	record_free(record);
}

/* ---- reading ---- */

static json_t *read_record(const struct app *app, int dirfd, const char *id)
{
	char name[32], why[FILE_WHY];
	bool gone = false;
	json_t *object;

	file_name(name, sizeof(name), id);
	shortage_note_error(state_load(dirfd, name, &object, why));
	/* Its end may have been written just before its process was not there any more. */
	if (object && !strcmp(state_of(object), "running") && !is_alive(app, object)) {
		json_decref(object);
		shortage_note_error(state_load(dirfd, name, &object, why));
		gone = object && !strcmp(state_of(object), "running") &&
		       !is_alive(app, object);
	}
	/* It is the job whose file it is. */
	if (object)
		json_object_set_new(object, "job", json_string(id));
	/* The engine goes on without the command, and nobody knows how it ended. */
	if (gone)
		json_object_set_new(object, "state", json_string("unwatched"));
	return object;
}

/* One record, NULL when there is none. To be given to json_decref(). */
json_t *record_read(const struct app *app, const char *id)
{
	char why[FILE_WHY];
	int dirfd = state_open(app, STATE_RUN, false, why);
	json_t *object;

	if (dirfd < 0)
		return NULL;
	object = read_record(app, dirfd, id);
	close(dirfd);
	return object;
}

/* All of them, the newest last. */
json_t *records_read(const struct app *app)
{
	char why[FILE_WHY];
	int dirfd = state_open(app, STATE_RUN, false, why);
	json_t *all = json_array();
	size_t count = 0;
	long *list;

	shortage_note_error(dirfd);
	if (dirfd < 0)
		return all;
	shortage_note_error(list_numbers(dirfd, &list, &count));
	for (size_t i = 0; i < count; i++) {
		char id[24];
		json_t *object;

		snprintf(id, sizeof(id), "j%ld", list[i]);
		object = read_record(app, dirfd, id);
		if (object)
			json_array_append_new(all, object);
	}
	free(list);
	close(dirfd);
	return all;
}

json_t *records_totals(const struct app *app)
{
	char why[FILE_WHY];
	int dirfd = state_open(app, STATE_RUN, false, why);
	json_t *totals = NULL;

	if (dirfd >= 0) {
		state_load(dirfd, TOTALS, &totals, why);
		close(dirfd);
	}
	return totals ? totals : json_object();
}

bool record_runs(const json_t *object)
{
	return !strcmp(state_of(object), "running");
}

/* Its process was killed before the end. */
bool record_unwatched(const json_t *object)
{
	return !strcmp(state_of(object), "unwatched");
}

/* Take something out of the record of a job that nobody runs any more. */
void record_forget(const struct app *app, const char *id, const char *key)
{
	char name[32], why[FILE_WHY];
	int dirfd = state_open(app, STATE_RUN, false, why), lock;
	json_t *object = NULL;

	if (dirfd < 0)
		return;
	file_name(name, sizeof(name), id);
	lock = state_lock(dirfd, true);
	if (lock >= 0)
		state_load(dirfd, name, &object, why);
	if (object && !json_object_del(object, key))
		state_save(dirfd, name, object, false);
	json_decref(object);
	if (lock >= 0)
		close(lock);
	close(dirfd);
}

/* Signal the process that runs a job; not another that has its number by now. */
int record_signal(const struct app *app, const json_t *object, int sig)
{
	pid_t pid = json_integer_value(json_object_get(object, "pid"));
	int fd = syscall(SYS_pidfd_open, pid, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (!is_alive(app, object))
		err = -ESRCH;
	else if (syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0))
		err = -errno;
	close(fd);
	return err;
}
