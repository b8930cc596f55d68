// SPDX-License-Identifier: GPL-2.0
/*
 * The first process of a machine that has nothing but a kernel and a test: mounts what
 * the test needs, runs it, says how it ended, and switches the machine off.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void mount_on(const char *kind, const char *folder)
{
	mkdir(folder, 0755);
	if (mount(kind, folder, kind, 0, NULL))
		printf("init: %s: %s\n", folder, strerror(errno));
}

static int run_test(void)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		execl("/test", "test", (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int main(void)
{
	mount_on("proc", "/proc");
	mount_on("sysfs", "/sys");
	mount_on("cgroup2", "/sys/fs/cgroup");
	printf("init: the test ended with status %d\n", run_test());
	fflush(stdout);
	reboot(RB_POWER_OFF);
	return 1;
}
