// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Making sure that the number of a process is still that process's.
 *
 * Calls that move pages take a number, and a process that ends leaves its number to
 * another, which may be anybody's. A descriptor of the process tells when it has ended.
 */
#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pin.h"

/* Hold a process instead of the one before. 0 or -ESRCH. */
int pin_process(struct pin *pin, pid_t pid)
{
	pin_release(pin);
	pin->fd = syscall(SYS_pidfd_open, pid, 0);
	if (pin->fd < 0 && errno == ESRCH)
		return -ESRCH;
	pin->pid = pid;
	return 0;
}

/* Has it not ended? Then the number is its own. */
bool pin_alive(const struct pin *pin)
{
	struct pollfd poll_fd = { .fd = pin->fd, .events = POLLIN };

	return pin->fd < 0 || poll(&poll_fd, 1, 0) == 0;
}

void pin_release(struct pin *pin)
{
	if (pin->pid && pin->fd >= 0)
		close(pin->fd);
	pin->pid = 0;
	pin->fd = -1;
}
