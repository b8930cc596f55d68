// SPDX-License-Identifier: GPL-2.0
/*
 * The files in cgroupfs.
 *
 *   cpuset.mems.migrate.hold	0 or 1: jobs wait, keeping what they have done
 *   cpuset.mems.migrate.max	bytes per second, or max; 0 holds; see limit.c
 *   cpuset.mems.migrate.stop	write 1: end the jobs
 *   cpuset.mems.migrate.cache	move or leave: cache that nobody maps
 *   cpuset.mems.migrate.settle	write 1: bring in pages that are outside
 *   cpuset.mems.events		migrations started and ended; can be polled
 *   cpuset.mems.events.local	the same without the cpusets below
 *   cpuset.mems.stat		what became of every page
 *
 * hold, max, stop and cache concern changes that were written at this cpuset or
 * below.
 * On cgroup v1 the names are cpuset.memory_migrate_*.
 */

#include <linux/cgroup.h>
#include <linux/cpuset.h>
#include <linux/ctype.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "internal.h"

static struct cpuset *seq_cs(struct seq_file *sf)
{
	return css_cs(seq_css(sf));
}

/* Parse a value that must be 0 or 1, or must be 1. */
static int parse_flag(char *buf, bool zero_allowed)
{
	unsigned int val;

	if (kstrtouint(strstrip(buf), 10, &val) || val > 1)
		return -EINVAL;
	return val || zero_allowed ? val : -EINVAL;
}

static int hold_show(struct seq_file *sf, void *v)
{
	seq_printf(sf, "%d\n", READ_ONCE(seq_cs(sf)->migrate.hold));
	return 0;
}

static ssize_t hold_write(struct kernfs_open_file *of, char *buf,
			  size_t nbytes, loff_t off)
{
	int val = parse_flag(buf, true);

	if (val < 0)
		return val;
	cm_hold_set(css_cs(of_css(of)), val);
	cm_jobs_recheck();
	return nbytes;
}

static int max_show(struct seq_file *sf, void *v)
{
	u64 max = READ_ONCE(seq_cs(sf)->migrate.max);

	if (max == U64_MAX)
		seq_puts(sf, "max\n");
	else
		seq_printf(sf, "%llu\n", max);
	return 0;
}

/* As memory.max has it: decimal, with K, M, G, T, P or E, or max. */
static int parse_rate(char *buf, u64 *rate)
{
	static const char suffixes[] = "kmgtpe";
	const char *suffix;
	size_t len = strlen(buf);
	int shift = 0;

	if (!strcmp(buf, "max")) {
		*rate = U64_MAX;
		return 0;
	}
	if (!isdigit(*buf))
		return -EINVAL;
	suffix = strchr(suffixes, tolower(buf[len - 1]));
	if (suffix && isdigit(buf[len - 2])) {
		buf[len - 1] = '\0';
		shift = 10 * (suffix - suffixes + 1);
	}
	if (kstrtou64(buf, 10, rate) || *rate > U64_MAX >> shift)
		return -EINVAL;
	*rate <<= shift;
	return 0;
}

static ssize_t max_write(struct kernfs_open_file *of, char *buf, size_t nbytes,
			 loff_t off)
{
	u64 max;

	if (parse_rate(strstrip(buf), &max))
		return -EINVAL;
	cm_limit_set(css_cs(of_css(of)), max);
	cm_jobs_recheck();
	return nbytes;
}

static ssize_t stop_write(struct kernfs_open_file *of, char *buf,
			  size_t nbytes, loff_t off)
{
	int val = parse_flag(buf, false);

	if (val < 0)
		return val;
	cm_jobs_stop(css_cs(of_css(of)));
	return nbytes;
}

#ifdef CONFIG_MEMCG
static int cache_show(struct seq_file *sf, void *v)
{
	seq_puts(sf, READ_ONCE(seq_cs(sf)->migrate.leave_cache) ?
		     "leave\n" : "move\n");
	return 0;
}

/* Looked at when a change is made; those under way go on as they began. */
static ssize_t cache_write(struct kernfs_open_file *of, char *buf,
			   size_t nbytes, loff_t off)
{
	static const char * const choices[] = { "move", "leave" };
	int leave = sysfs_match_string(choices, strstrip(buf));

	if (leave < 0)
		return leave;
	WRITE_ONCE(css_cs(of_css(of))->migrate.leave_cache, leave);
	return nbytes;
}
#endif

/* Add a cpuset's tasks to a change, as if they had come from where they are. */
static void settle_add(struct cpuset_change *change, struct cpuset *cs)
{
	struct css_task_iter it;
	struct task_struct *task;
	struct cm_part *part;
	nodemask_t mems;

	nodes_and(mems, cs->effective_mems, node_states[N_MEMORY]);
	if (nodes_empty(mems))
		return;

	part = cpuset_change_add_cpuset(change, cs, &mems,
					is_memory_migrate(cs));
	css_task_iter_start(&cs->css, 0, &it);
	while ((task = css_task_iter_next(&it)))
		cpuset_change_add_task(part, task, &mems);
	css_task_iter_end(&it);
}

static ssize_t settle_write(struct kernfs_open_file *of, char *buf,
			    size_t nbytes, loff_t off)
{
	struct cpuset *cs = css_cs(of_css(of)), *pos;
	bool wait = !(of->file->f_flags & O_NONBLOCK);
	struct cgroup_subsys_state *css;
	struct cpuset_change *change;
	int val = parse_flag(buf, false);

	if (val < 0)
		return val;

	change = cpuset_change_begin(cs, CPUSET_SETTLE, wait, GFP_KERNEL);
	if (!change)
		return -ENOMEM;

	cpuset_lock();
	rcu_read_lock();
	cpuset_for_each_descendant_pre(pos, css, cs) {
		if (!css_tryget_online(css))
			continue;
		rcu_read_unlock();

		settle_add(change, pos);

		rcu_read_lock();
		css_put(css);
	}
	rcu_read_unlock();
	cpuset_change_end(change);
	cpuset_unlock();
	return nbytes;
}

static int stat_show(struct seq_file *sf, void *v)
{
	/* After pending, held and total, in this order */
	static const enum cpuset_migrate_stat shown[] = {
		CM_SCANNED, CM_MOVED, CM_MOVED_THP, CM_INPLACE, CM_GONE,
		CM_SPLIT, CM_SWAPPED, CM_LEFT, CM_SKIP_VMA, CM_SKIP_EXEMPT,
		CM_SKIP_SHARED, CM_FAIL_NOMEM, CM_FAIL_PINNED, CM_FAIL_BUSY,
		CM_FAIL_FS, CM_FAIL_NONLRU, CM_FAIL_HUGETLB,
	};
	struct cpuset *cs = seq_cs(sf);
	u64 stat[CM_NR_STATS], chunk_max;
	int i;

	seq_printf(sf, "migrate_pending %d\n",
		   atomic_read(&cs->migrate.pending));
	seq_printf(sf, "migrate_held %d\n", atomic_read(&cs->migrate.held));

	cm_stat_read(cs, stat, &chunk_max);
	seq_printf(sf, "migrate_total %llu\n", stat[CM_TOTAL]);
	for (i = 0; i < ARRAY_SIZE(shown); i++)
		seq_printf(sf, "migrate_%s %llu\n", cm_stat_name[shown[i]],
			   stat[shown[i]]);
	seq_printf(sf, "migrate_usec %llu\n",
		   div_u64(stat[CM_USEC], NSEC_PER_USEC));
	seq_printf(sf, "migrate_chunk_max_usec %llu\n", chunk_max);
	return 0;
}

static int events_show_common(struct seq_file *sf, bool local)
{
	u64 events[CM_NR_EVENTS];

	cm_events_read(seq_cs(sf), local, events);
	seq_printf(sf, "migrate_start %llu\n", events[CM_EVENT_START]);
	seq_printf(sf, "migrate_done %llu\n", events[CM_EVENT_DONE]);
	seq_printf(sf, "migrate_partial %llu\n", events[CM_EVENT_PARTIAL]);
	seq_printf(sf, "migrate_stopped %llu\n", events[CM_EVENT_STOPPED]);
	return 0;
}

static int events_show(struct seq_file *sf, void *v)
{
	return events_show_common(sf, false);
}

static int events_local_show(struct seq_file *sf, void *v)
{
	return events_show_common(sf, true);
}

static struct cftype cm_dfl_files[] = {
	{
		.name = "mems.migrate.hold",
		.seq_show = hold_show,
		.write = hold_write,
		.flags = CFTYPE_NOT_ON_ROOT,
	},
	{
		.name = "mems.migrate.max",
		.seq_show = max_show,
		.write = max_write,
		.flags = CFTYPE_NOT_ON_ROOT,
	},
	{
		.name = "mems.migrate.stop",
		.write = stop_write,
		.flags = CFTYPE_NOT_ON_ROOT,
	},
	{
		.name = "mems.migrate.settle",
		.write = settle_write,
		.flags = CFTYPE_NOT_ON_ROOT,
	},
#ifdef CONFIG_MEMCG
	{
		.name = "mems.migrate.cache",
		.seq_show = cache_show,
		.write = cache_write,
		.flags = CFTYPE_NOT_ON_ROOT,
	},
#endif
	{
		.name = "mems.stat",
		.seq_show = stat_show,
		.flags = CFTYPE_NOT_ON_ROOT,
	},
	{
		.name = "mems.events",
		.seq_show = events_show,
		.file_offset = offsetof(struct cpuset, migrate.events_file),
		.flags = CFTYPE_NOT_ON_ROOT,
	},
	{
		.name = "mems.events.local",
		.seq_show = events_local_show,
		.file_offset = offsetof(struct cpuset,
					migrate.events_local_file),
		.flags = CFTYPE_NOT_ON_ROOT,
	},
	{ }	/* terminate */
};

#ifdef CONFIG_CPUSETS_V1
static struct cftype cm_legacy_files[] = {
	{
		.name = "memory_migrate_hold",
		.seq_show = hold_show,
		.write = hold_write,
		.flags = CFTYPE_NOT_ON_ROOT,
	},
	{
		.name = "memory_migrate_max",
		.seq_show = max_show,
		.write = max_write,
		.flags = CFTYPE_NOT_ON_ROOT,
	},
	{
		.name = "memory_migrate_stop",
		.write = stop_write,
		.flags = CFTYPE_NOT_ON_ROOT,
	},
	{
		.name = "memory_migrate_settle",
		.write = settle_write,
		.flags = CFTYPE_NOT_ON_ROOT,
	},
#ifdef CONFIG_MEMCG
	{
		.name = "memory_migrate_cache",
		.seq_show = cache_show,
		.write = cache_write,
		.flags = CFTYPE_NOT_ON_ROOT,
	},
#endif
	{
		.name = "memory_migrate_stat",
		.seq_show = stat_show,
		.flags = CFTYPE_NOT_ON_ROOT,
	},
	{
		.name = "memory_migrate_events",
		.seq_show = events_show,
		.file_offset = offsetof(struct cpuset, migrate.events_file),
		.flags = CFTYPE_NOT_ON_ROOT,
	},
	{ }	/* terminate */
};
#endif

static int __init cm_cgroupfs_init(void)
{
	WARN_ON(cgroup_add_dfl_cftypes(&cpuset_cgrp_subsys, cm_dfl_files));
#ifdef CONFIG_CPUSETS_V1
	WARN_ON(cgroup_add_legacy_cftypes(&cpuset_cgrp_subsys,
					  cm_legacy_files));
#endif
	return 0;
}
subsys_initcall(cm_cgroupfs_init);
