/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and times as people write them. Shared by the plugin and the command. */
#ifndef UNITS_H
#define UNITS_H

#include <stdint.h>

int units_size(const char *text, uint64_t *bytes);
int units_time(const char *text, double plain_usec, uint64_t *usec);

#endif /* UNITS_H */
