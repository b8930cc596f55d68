/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making sure that the number of a process is still that process's. */
#ifndef CGM_PIN_H
#define CGM_PIN_H

#include <stdbool.h>
#include <sys/types.h>

struct pin {
	pid_t pid;		/* 0: none */
	int fd;			/* -1: this kernel cannot hold it */
};

int pin_process(struct pin *pin, pid_t pid);
bool pin_alive(const struct pin *pin);
void pin_release(struct pin *pin);

#endif /* CGM_PIN_H */
