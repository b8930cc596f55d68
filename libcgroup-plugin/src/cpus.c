// SPDX-License-Identifier: LGPL-2.1-or-later
/* Sets of CPUs: of nodes, of cgroups, of threads, and one in place of another. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.h"
#include "procs.h"

CGM_PUBLIC int cgm_nodes_cpus(struct cgm_context *ctx, const cgm_nodeset *nodes,
			      cgm_cpuset *cpus)
{
	cgm_nodeset_clear(cpus);
	for (int n = cgm_nodeset_next(nodes, -1); n >= 0; n = cgm_nodeset_next(nodes, n)) {
		char *text = fs_read(ctx, NULL, "sys/devices/system/node/node%d/cpulist", n);
		cgm_cpuset one;
		int err;

		if (!text)
			return cgm_fail(ctx, errno, "cannot read which CPUs node %d has: %m",
					n);
		err = cgm_nodeset_parse(text, &one);
		free(text);
		if (err)
			return cgm_fail(ctx, err,
					"node %d: its CPUs are no list, or have numbers above %d",
					n, CGM_CPUS_MAX - 1);
		cgm_nodeset_or(cpus, cpus, &one);
	}
	return 0;
}

const char *group_effective_cpus_file(const struct cgm_context *ctx)
{
	return ctx->cpuset.version == 2 ? "cpuset.cpus.effective" :
					  "cpuset.effective_cpus";
}

CGM_PUBLIC int cgm_group_effective_cpus(struct cgm_group *group, cgm_cpuset *cpus)
{
	const char *file = group_effective_cpus_file(group->ctx);
	int err = group_read_nearest(group, file, cpus);

	if (err == -ENOENT)	/* v1 of old kernels */
		err = group_read_nearest(group, "cpuset.cpus", cpus);
	if (err == -ENOENT)
		return cgm_fail(group->ctx, err, "%s: no cpuset here or above it",
				group->path);
	return err;
}

/* -ESRCH: it has exited. */
int thread_read(struct cgm_context *ctx, pid_t tid, struct thread_status *status)
{
	char *text = fs_read(ctx, NULL, "proc/%d/status", tid), *list, *p;
	int err = -ENOENT;

	if (!text)
		return errno == ENOENT ? -ESRCH : -errno;
	p = strstr(text, "\nTgid:");
	status->pid = p ? strtol(p + 6, NULL, 10) : tid;
	p = strstr(text, "\nUid:");
	status->user = p ? strtoul(p + 5, NULL, 10) : 0;
	thread_start(ctx, tid, &status->start);
	list = strstr(text, "\nCpus_allowed_list:");
	if (list) {
		list += strlen("\nCpus_allowed_list:");
		list[strcspn(list, "\n")] = '\0';
		err = cgm_nodeset_parse(list, &status->cpus);
	}
	free(text);
	return err;
}

/* On a recorded tree there is no such thread, or a stranger's. */
int thread_pin(struct cgm_context *ctx, pid_t tid, const cgm_cpuset *cpus)
{
	cpu_set_t set;

	_Static_assert(CPU_SETSIZE >= CGM_CPUS_MAX, "a cpu_set_t is large enough");
	if (ctx->recorded)
		return 0;
	CPU_ZERO(&set);
	for (int cpu = cgm_nodeset_next(cpus, -1); cpu >= 0;
	     cpu = cgm_nodeset_next(cpus, cpu))
		CPU_SET(cpu, &set);
	return sched_setaffinity(tid, sizeof(set), &set) ? -errno : 0;
}

/* cgm_cpumap() that also tells whether the thread was pinned at all. */
bool cpus_map(const cgm_cpuset *from, const cgm_cpuset *to, const cgm_cpuset *mask,
	      cgm_cpuset *out)
{
	cgm_cpuset ours;

	cgm_nodeset_and(&ours, mask, from);
	if (!cgm_nodeset_weight(&ours) || cgm_nodeset_equal(&ours, from)) {
		*out = *to;
		return false;
	}
	cgm_nodeset_clear(out);
	for (int cpu = cgm_nodeset_next(&ours, -1); cpu >= 0;
	     cpu = cgm_nodeset_next(&ours, cpu))
		cgm_nodeset_add(out, cgm_nodemap(from, to, cpu));
	return true;
}

CGM_PUBLIC int cgm_cpumap(const cgm_cpuset *from, const cgm_cpuset *to,
			  const cgm_cpuset *mask, cgm_cpuset *out)
{
	return cpus_map(from, to, mask, out);
}
