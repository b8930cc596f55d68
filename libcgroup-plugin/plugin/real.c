// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Finding the functions ours stand for.
 *
 * The next object in the order of search has them where the program is linked
 * with libcgroup. Where libcgroup was opened at run time, by PAM or by an
 * interpreter, it is in no global order: then whoever calls us knows it, or
 * else it is among the objects of the process by its name.
 */
#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "preload.h"

/* Is it a function of somebody else's? */
static bool foreign(const void *function)
{
	Dl_info ours, theirs;

	return function && dladdr((void *)real_function, &ours) &&
	       dladdr(function, &theirs) && ours.dli_fbase != theirs.dli_fbase;
}

/* What an object that is already here, or what it is linked with, has. */
static void *look_in(const char *object, const char *name)
{
	void *handle = dlopen(object, RTLD_LAZY | RTLD_NOLOAD);
	void *found;

	if (!handle)
		return NULL;
	found = dlsym(handle, name);
	dlclose(handle);	/* it stays: somebody else holds it */
	return foreign(found) ? found : NULL;
}

struct search {
	const char *name;
	void *found;
};

static int look_at_object(struct dl_phdr_info *info, size_t size, void *data)
{
	struct search *search = data;
	const char *base = strrchr(info->dlpi_name, '/');

	(void)size;
	base = base ? base + 1 : info->dlpi_name;
	if (strncmp(base, "libcgroup.so", 12))
		return 0;
	search->found = look_in(info->dlpi_name, search->name);
	return !!search->found;
}

/* The function of that name that our caller meant; NULL: there is none. */
void *real_function(const char *name, const void *caller)
{
	struct search search = { .name = name };
	void *found = dlsym(RTLD_NEXT, name);
	Dl_info info;

	if (foreign(found))
		return found;
	if (dladdr(caller, &info) && info.dli_fname) {
		found = look_in(info.dli_fname, name);
		if (found)
			return found;
	}
	dl_iterate_phdr(look_at_object, &search);
	return search.found;
}
