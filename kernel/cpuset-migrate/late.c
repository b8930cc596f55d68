// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces that nobody could find when nodes changed.
 *
 * A change finds address spaces by the tasks in a cpuset.  exec fills one before
 * any task has it, and a child has copies of pages and policies long before it is
 * in its cpuset.  Whoever changes the nodes meanwhile sees neither, and so they
 * ask themselves, once they can be found, whether anybody has.
 *
 * They are brought in by a change of their own, which sweeps: whatever moves such
 * an address space by then finds all of its pages, and is not superseded.  (But
 * for a stack that exec is about to put elsewhere: it may pass by the cursor of a
 * job that was begun in the moment between exec_mmap() and that.)
 */

#include <linux/cpuset.h>

#include "internal.h"

/* In mm->cpuset_change: nobody has named it, and exec wants somebody to. */
#define CM_CHANGE_LATE	U64_MAX

static void cm_late(struct task_struct *task)
{
	struct cpuset_change *change;
	nodemask_t mems, own;
	struct cm_part *part;
	struct cpuset *cs;

	cpuset_lock();
	rcu_read_lock();
	cs = task_cs(task);
	rcu_read_unlock();
	guarantee_online_mems(cs, &mems);
	nodes_and(own, task->mems_allowed, node_states[N_MEMORY]);
	/* Else halfway into @cs, and named by who brings it there. */
	if (nodes_equal(own, mems) && !cm_is_looked_for(cs, task)) {
		change = cpuset_change_begin(cs, CPUSET_ATTACH, false,
					     GFP_KERNEL | __GFP_NOFAIL);
		change->unasked = true;
		part = cpuset_change_add_cpuset(change, cs, &mems,
						is_memory_migrate(cs));
		cpuset_change_add_task(part, task, &mems);
		cpuset_change_end(change);
	}
	cpuset_unlock();
}

/**
 * cpuset_migrate_exec_begin - exec begins to fill an address space
 * @mm: what current will have then; nobody else knows it
 *
 * Its pages come from the nodes that current has from now on.
 */
void cpuset_migrate_exec_begin(struct mm_struct *mm)
{
	/* Nothing has been placed yet. */
	mm->cpuset_placed = read_mems_allowed_begin();
}

/**
 * cpuset_migrate_exec - current is about to have the address space of exec
 * @mm: the same
 *
 * Call with task_lock() of current held, before it is current->mm.  Who changes
 * current's nodes holds that lock as well, and looks for the address space later.
 */
void cpuset_migrate_exec(struct mm_struct *mm)
{
	unsigned int seq = mm->cpuset_placed;
	struct cpuset *cs;
	u64 placement;

	mm->cpuset_placed = 0;
	if (unlikely(read_mems_allowed_retry(seq))) {
		mm->cpuset_change = CM_CHANGE_LATE;
		return;
	}

	rcu_read_lock();
	cs = task_cs(current);
	/* Whoever is about to change current's nodes has renamed them before. */
	placement = smp_load_acquire(&cs->migrate.placement);
	if (nodes_equal(current->mems_allowed, cs->effective_mems))
		mm->cpuset_placed = placement;
	rcu_read_unlock();
}

/**
 * cpuset_migrate_exec_end - current's new stack is where it stays
 *
 * Context: may sleep; takes cpuset_mutex.  Nobody waits for the pages, and there
 * are no events of it.
 */
void cpuset_migrate_exec_end(void)
{
	if (unlikely(READ_ONCE(current->mm->cpuset_change) == CM_CHANGE_LATE))
		cm_late(current);
}

/**
 * cpuset_migrate_fork - current's child is in the same cpuset
 * @task: the child
 *
 * It is found there when the change that moves current's memory closes, and then
 * goes where current's would have gone.  If that has closed, it is too late for it.
 *
 * Context: may sleep; takes cpuset_mutex.  Nobody waits for the pages, and there
 * are no events of it.
 */
void cpuset_migrate_fork(struct task_struct *task)
{
	struct mm_struct *mm = task->mm, *parent = current->mm;

	if (!mm || !parent || mm == parent ||
	    likely(mm->cpuset_placed == READ_ONCE(parent->cpuset_placed)))
		return;

	WRITE_ONCE(mm->cpuset_placed, 0);
	/*
	 * Pairs with queue_work() between job_finish() and part_missed():
	 * either that sees 0, or we see that the parent has been placed.
	 */
	smp_mb();
	if (READ_ONCE(parent->cpuset_placed))
		cm_late(task);
}
