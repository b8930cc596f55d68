// SPDX-License-Identifier: GPL-2.0
/*
 * Folios that several cpusets map.
 *
 * A change of one cpuset must not take a page off a node where another one may
 * have it, to one where it may not: that one would have memory outside of its
 * nodes, and nobody would bring it back.  Where neither node is right for the
 * other, the last change wins.  What one of those who map it keeps where it is,
 * stays, and so does text that others execute too: it is where they all want it.
 */

#include <linux/mempolicy.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched.h>

#include "internal.h"

/**
 * struct cm_share - looking for a mapping that wants a folio where it is
 * @mm: the address space that moves, whose cpuset does not; NULL if none does
 * @moving: whose tasks move: this cpuset and those below
 * @fine: another one whose does not either, looked at last
 * @to: where the folio would go
 * @verdict: CM_MOVED, or why it does not
 */
struct cm_share {
	const struct mm_struct	*mm;
	struct cpuset		*moving;
	const struct mm_struct	*fine;
	int			to;
	enum cpuset_migrate_stat verdict;
};

#ifdef CONFIG_MEMCG
/* May this address space have memory on one node and not on the other? */
static bool mm_wants(struct mm_struct *mm, int from, int to)
{
	struct task_struct *owner;
	bool wants = false;
	struct cpuset *cs;

	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	if (owner) {
		cs = task_cs(owner);
		wants = node_isset(from, cs->effective_mems) &&
			!node_isset(to, cs->effective_mems);
	}
	rcu_read_unlock();
	return wants;
}

/* Is an address space one of those that move, or exiting? */
static bool mm_moves(struct mm_struct *mm, struct cpuset *moving)
{
	struct task_struct *owner;
	bool moves;

	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	moves = !owner || cm_is_below(task_cs(owner), moving);
	rcu_read_unlock();
	return moves;
}
#else
/* Whose address space it is cannot be told. */
static bool mm_wants(struct mm_struct *mm, int from, int to)
{
	return false;
}

static bool mm_moves(struct mm_struct *mm, struct cpuset *moving)
{
	return false;
}
#endif

/* Does a VMA that could map a folio do so?  Of hugetlb, any that could counts. */
static bool vma_maps(struct folio *folio, struct vm_area_struct *vma,
		     unsigned long addr)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, addr, 0);
	bool maps = false;

	if (folio_test_hugetlb(folio))
		return true;
	/* To its end, where it lets go of the page table. */
	while (page_vma_mapped_walk(&pvmw))
		maps = true;
	return maps;
}

static bool share_one(struct folio *folio, struct vm_area_struct *vma,
		      unsigned long addr, void *arg)
{
	struct mm_struct *mm = vma->vm_mm;
	bool text = (vma->vm_flags & VM_EXEC) && !folio_test_anon(folio);
	struct cm_share *share = arg;

	if (vma_migration_exempt(vma) && vma_maps(folio, vma, addr)) {
		share->verdict = CM_SKIP_EXEMPT;
		return false;
	}
	if (mm == share->mm || (mm == share->fine && !text))
		return true;
	if (!(text && !mm_moves(mm, share->moving)) &&
	    !mm_wants(mm, folio_nid(folio), share->to)) {
		share->fine = mm;
		return true;
	}
	if (!vma_maps(folio, vma, addr))
		return true;
	share->verdict = CM_SKIP_SHARED;
	return false;
}

/*
 * Can there be a mapping that is not the moving address space's?  Page tables of
 * hugetlb are shared uncounted.
 */
static bool folio_may_be_shared(struct cpuset_migrate_job *job,
				struct folio *folio)
{
	if (!job->mm)
		return folio_mapped(folio);
	if (folio_test_hugetlb(folio) && !folio_test_anon(folio))
		return true;
	return folio_mapcount(folio) > 1;
}

/**
 * cm_share_check - may a folio go to a node, as far as other cpusets go?
 * @job: the job that wants to move it
 * @folio: the folio, isolated
 * @to: the node
 *
 * Context: may sleep; call without locks, also of pages.
 *
 * Return: CM_MOVED if it may; CM_SKIP_SHARED if a cpuset without @to maps it
 * too, and has the node it is on, or if somebody executes it who does not move;
 * CM_SKIP_EXEMPT if a VMA does that keeps its
 * pages; CM_FAIL_BUSY if that could not be found out.
 */
enum cpuset_migrate_stat cm_share_check(struct cpuset_migrate_job *job,
					struct folio *folio, int to)
{
	struct cm_share share = {
		.mm = job->mm,
		.moving = cm_job_written_at(job),
		.to = to,
		.verdict = CM_MOVED,
	};
	struct rmap_walk_control rwc = {
		.rmap_one = share_one,
		.anon_lock = folio_lock_anon_vma_read,
		.arg = &share,
		/* There the lock of the mapping comes before that of the page. */
		.try_lock = folio_test_hugetlb(folio),
	};

	if (!folio_may_be_shared(job, folio))
		return CM_MOVED;
	if (!folio_trylock(folio))
		return CM_FAIL_BUSY;
	rmap_walk(folio, &rwc);
	folio_unlock(folio);
	if (rwc.contended)
		return CM_FAIL_BUSY;
	return share.verdict;
}
