// SPDX-License-Identifier: LGPL-2.1-or-later
/* Sizes and times as people write them: 500M, 2ms. */
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"

/* 500M, 2GiB or a number of bytes. 0 or -EINVAL. */
int units_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	char *end;
	const char *unit;
	double value;

	errno = 0;
	value = strtod(text, &end);
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (unit) {
		for (const char *u = units; u <= unit; u++)
			value *= 1024;
		end++;
		if (!strcmp(end, "iB"))
			end += 2;
	}
	if (errno || end == text || *end || !(value >= 1) || value >= 1e18)
		return -EINVAL;
	*bytes = value;
	return 0;
}

/* 2ms, 30s, 5min; a number without a unit is of so many microseconds. 0 or -EINVAL. */
int units_time(const char *text, double plain_usec, uint64_t *usec)
{
	const struct {
		const char *unit;
		double usec;
	} units[] = {
		{ "us", 1 }, { "ms", 1e3 }, { "s", 1e6 }, { "", plain_usec },
		{ "m", 6e7 }, { "min", 6e7 }, { "h", 3.6e9 },
	};
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].unit))
			continue;
		value *= units[i].usec;
		if (errno || end == text || !(value >= 1) || value >= 1e15)
			return -EINVAL;
		*usec = value;
		return 0;
	}
	return -EINVAL;
}
