/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM cpuset_migrate

#if !defined(_CPUSET_MIGRATE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _CPUSET_MIGRATE_TRACE_H

#include <linux/cgroup.h>
#include <linux/tracepoint.h>

#include "internal.h"

TRACE_EVENT(cpuset_migrate_job_start,

	TP_PROTO(struct cpuset_migrate_job *job),

	TP_ARGS(job),

	TP_STRUCT__entry(
		__field(void *,	mm)
		__field(u64,	cgroup)
		__field(u64,	placement)
		__field(int,	kind)
		__field(bool,	move)
		__field(bool,	chained)
	),

	TP_fast_assign(
		__entry->mm = job->mm;
		__entry->cgroup = cgroup_id(job->part->cs->css.cgroup);
		__entry->placement = job->part->placement;
		__entry->kind = job->part->change->kind;
		__entry->move = job->part->move;
		__entry->chained = job->range[job->nr_ranges - 1].map->chained;
	),

	TP_printk("mm=%p cgroup=%llu placement=%llu kind=%s move=%d chained=%d",
		  __entry->mm, __entry->cgroup, __entry->placement,
		  __print_symbolic(__entry->kind,
				   { CPUSET_NEW_MEMS,	"mems" },
				   { CPUSET_ATTACH,	"attach" },
				   { CPUSET_SETTLE,	"settle" },
				   { CPUSET_EVACUATE,	"evacuate" }),
		  __entry->move, __entry->chained)
);

TRACE_EVENT(cpuset_migrate_chunk,

	TP_PROTO(struct cpuset_migrate_job *job, unsigned long start,
		 unsigned long isolated, u64 walk_usec, u64 move_usec),

	TP_ARGS(job, start, isolated, walk_usec, move_usec),

	TP_STRUCT__entry(
		__field(void *,		mm)
		__field(unsigned int,	pass)
		__field(unsigned long,	start)
		__field(unsigned long,	end)
		__field(unsigned long,	isolated)
		__field(unsigned long,	moved)
		__field(u64,		walk_usec)
		__field(u64,		move_usec)
	),

	TP_fast_assign(
		__entry->mm = job->mm;
		__entry->pass = job->pass;
		__entry->start = start;
		__entry->end = job->cursor;
		__entry->isolated = isolated;
		__entry->moved = job->tally.n[CM_MOVED];
		__entry->walk_usec = walk_usec;
		__entry->move_usec = move_usec;
	),

	TP_printk("mm=%p pass=%u range=%#lx-%#lx isolated=%lu moved=%lu walk_usec=%llu move_usec=%llu",
		  __entry->mm, __entry->pass, __entry->start, __entry->end,
		  __entry->isolated, __entry->moved, __entry->walk_usec,
		  __entry->move_usec)
);

TRACE_EVENT(cpuset_migrate_leave,

	TP_PROTO(struct cpuset_migrate_job *job, struct folio *folio,
		 enum cpuset_migrate_stat reason),

	TP_ARGS(job, folio, reason),

	TP_STRUCT__entry(
		__field(void *,		mm)
		__field(unsigned long,	pfn)
		__field(unsigned int,	order)
		__field(int,		nid)
		__field(int,		refs)
		__field(int,		maps)
		__string(reason,	cm_stat_name[reason])
	),

	TP_fast_assign(
		__entry->mm = job->mm;
		__entry->pfn = folio_pfn(folio);
		__entry->order = folio_order(folio);
		__entry->nid = folio_nid(folio);
		__entry->refs = folio_ref_count(folio);
		__entry->maps = folio_mapcount(folio);
		__assign_str(reason);
	),

	TP_printk("mm=%p pfn=%#lx order=%u node=%d refs=%d maps=%d reason=%s",
		  __entry->mm, __entry->pfn, __entry->order, __entry->nid,
		  __entry->refs, __entry->maps, __get_str(reason))
);

TRACE_EVENT(cpuset_migrate_job_end,

	TP_PROTO(struct cpuset_migrate_job *job, unsigned long failed),

	TP_ARGS(job, failed),

	TP_STRUCT__entry(
		__field(void *,		mm)
		__field(u64,		cgroup)
		__field(u64,		placement)
		__field(unsigned int,	passes)
		__field(unsigned long,	failed)
		__field(bool,		stopped)
	),

	TP_fast_assign(
		__entry->mm = job->mm;
		__entry->cgroup = cgroup_id(job->part->cs->css.cgroup);
		__entry->placement = job->part->placement;
		__entry->passes = job->pass + 1;
		__entry->failed = failed;
		__entry->stopped = job->stop;
	),

	TP_printk("mm=%p cgroup=%llu placement=%llu passes=%u outside=%lu stopped=%d",
		  __entry->mm, __entry->cgroup, __entry->placement,
		  __entry->passes, __entry->failed, __entry->stopped)
);

#endif /* _CPUSET_MIGRATE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
