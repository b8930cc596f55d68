// SPDX-License-Identifier: GPL-2.0
/*
 * What one write asks for.
 *
 * A change begins when somebody writes cpuset.mems, moves tasks into a cpuset
 * or asks for a sweep.  It has a part for each cpuset concerned, and a part has
 * a job for each address space, however many threads name it.  The cpuset code
 * adds them with cpuset_mutex held and ends the change; then the jobs start,
 * and the writer, if it waits, does so on its way back to user space, where it
 * holds no lock that anybody else could want.
 *
 * When the last job of a part has ended, the part closes: tasks forked in the
 * meantime may have inherited pages from before their parent's were moved.
 * Each cpuset's set of nodes has a name, and an address space remembers the
 * name of the one it was placed for, so they are easy to tell.
 *
 * Locks, outermost first:
 *
 *   cgroup_mutex			attach: a change is added to and ended
 *     cpus_read_lock
 *       cgroup_threadgroup_rwsem
 *	   cpuset_mutex			mems, attach, settle: likewise
 *	     css_set_lock		css_task_iter_next(), never across a sleep
 *	     cm_lock			state of jobs, parts, changes, limits
 *	       task_lock()		of a parent, to see what names its memory
 *
 *   mmap_lock (read)			one chunk of a walk, no more; rebinding
 *     hugetlb vma lock, page table lock
 *	 lruvec->lru_lock, hugetlb_lock	isolation
 *
 *   (none)				migrate_pages() takes, for one batch:
 *     folio lock, anon_vma or i_mmap_rwsem, mmu notifier range, page table lock
 *
 * Jobs run with none of the first group held, and the second and third group
 * do not nest.  cm_lock may be taken anywhere else, in process context.
 */

#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"

/* How often a part looks for forked tasks before it leaves the rest. */
#define CM_CLOSE_ROUNDS		8

/* Ancestors of a task whose memory it may have. */
#define CM_ANCESTORS		16

DEFINE_SPINLOCK(cm_lock);

/* Parts whose jobs have been started and that have not closed. */
static LIST_HEAD(cm_parts);

/*
 * Parts whose jobs have ended.  One work looks after all that are there: however
 * many somebody asks for, they wait for cpuset_mutex once.
 */
static LIST_HEAD(cm_closing);
static void parts_close_work(struct work_struct *work);
static DECLARE_WORK(cm_close_work, parts_close_work);

static struct workqueue_struct *cm_change_wq;

/* Source of names for sets of nodes and for changes; 0 is nobody's. */
static atomic64_t cm_last_name;

/**
 * cpuset_migrate_css_init - set up what a cpuset has for migration
 * @cs: the cpuset, zeroed
 */
void cpuset_migrate_css_init(struct cpuset *cs)
{
	int i;

	cs->migrate.placement = atomic64_inc_return(&cm_last_name);
	cs->migrate.max = U64_MAX;
	INIT_LIST_HEAD(&cs->migrate.parts);
	for (i = 0; i < CM_NR_LINES; i++)
		cm_line_init(&cs->migrate.line[i]);
}

/**
 * cpuset_migrate_css_online - a cpuset has its first nodes
 * @cs: the cpuset; cpuset_mutex is held
 */
void cpuset_migrate_css_online(struct cpuset *cs)
{
	cs->migrate.mems = cs->effective_mems;
}

/**
 * cpuset_migrate_css_offline - a cpuset is being removed
 * @cs: the cpuset; cpuset_mutex is held
 *
 * Its jobs go on, for address spaces that have left it; nothing can release
 * them from its limits any more, so those end.  Never waits.
 */
void cpuset_migrate_css_offline(struct cpuset *cs)
{
	cm_cache_offline(cs);
	if (!cs->migrate.hold && cs->migrate.max == U64_MAX)
		return;
	cm_hold_set(cs, false);
	cm_limit_set(cs, U64_MAX);
	cm_jobs_recheck();
}

struct cpuset_change *cm_change_get(struct cpuset_change *change)
{
	refcount_inc(&change->ref);
	return change;
}

static void change_free_work(struct work_struct *work)
{
	struct cpuset_change *change =
		container_of(work, struct cpuset_change, free);

	xa_destroy(&change->moved);
	css_put(&change->origin->css);
	kfree(change);
}

/**
 * cm_change_put - drop a reference to a change
 * @change: the change
 *
 * Context: any; a change that has moved much has much to free, which somebody
 * does who holds no lock.
 */
void cm_change_put(struct cpuset_change *change)
{
	if (refcount_dec_and_test(&change->ref))
		queue_work(cm_change_wq, &change->free);
}

/**
 * cm_change_wait - wait until a change has been made
 * @change: the change
 *
 * Return: 0, or -ERESTARTSYS if a fatal signal came first; it goes on then.
 */
int cm_change_wait(struct cpuset_change *change)
{
	/*
	 * Who has waited finds in the files what there was to count.  Unsafe: who
	 * empties a node holds that file's lock, which nobody needs to freeze.
	 */
	return wait_event_state(change->wait, !smp_load_acquire(&change->busy),
				(TASK_KILLABLE | TASK_FREEZABLE_UNSAFE));
}

static void change_wait_work(struct callback_head *work)
{
	struct cpuset_change *change =
		container_of(work, struct cpuset_change, work);

	cm_change_wait(change);
	cm_change_put(change);
}

/**
 * cm_change_busy - somebody to wait for comes or goes
 * @change: the change
 * @n: 1 or -1
 *
 * Call with cm_lock held, and when everything is counted: the writer does not
 * need the lock to see that nobody is left.
 */
void cm_change_busy(struct cpuset_change *change, int n)
{
	lockdep_assert_held(&cm_lock);

	/* Pairs with the acquire in change_wait(). */
	smp_store_release(&change->busy, change->busy + n);
	if (!change->busy)
		wake_up_all(&change->wait);
}

/**
 * cm_is_held - are changes that were written to a cpuset held?
 * @cs: the cpuset
 *
 * There or above, that is.  Settings below do not count: who was given a
 * subtree must not be able to keep its owner from emptying a node.
 */
bool cm_is_held(struct cpuset *cs)
{
	for (; cs; cs = parent_cs(cs))
		if (READ_ONCE(cs->migrate.hold) || !READ_ONCE(cs->migrate.max))
			return true;
	return false;
}

/**
 * cm_hold_set - hold the changes that are written to a cpuset, or do not
 * @cs: the cpuset
 * @hold: whether
 *
 * Whoever is to go on finds out through cm_jobs_recheck().
 */
void cm_hold_set(struct cpuset *cs, bool hold)
{
	spin_lock(&cm_lock);
	WRITE_ONCE(cs->migrate.hold, hold);
	spin_unlock(&cm_lock);
}

/**
 * cm_is_below - is one cpuset another one, or below it?
 * @cs: the one
 * @top: the other
 */
bool cm_is_below(struct cpuset *cs, struct cpuset *top)
{
	for (; cs; cs = parent_cs(cs))
		if (cs == top)
			return true;
	return false;
}

/**
 * cpuset_change_begin - somebody is about to change where memory should be
 * @origin: the cpuset written to, or entered
 * @kind: what is written
 * @wait: the writer wants to wait for the end; a kernel thread, one of
 *	io_uring's or an exiting task does not all the same
 * @gfp: how to allocate
 *
 * Allocate before anything changes, so that a write that cannot wait can fail.
 *
 * Return: the change, for cpuset_change_end(), or NULL without memory.
 */
struct cpuset_change *cpuset_change_begin(struct cpuset *origin,
					  enum cpuset_change_kind kind,
					  bool wait, gfp_t gfp)
{
	struct cpuset_change *change = kzalloc(sizeof(*change), gfp);

	if (!change)
		return NULL;

	refcount_set(&change->ref, 1);
	change->kind = kind;
	change->id = atomic64_inc_return(&cm_last_name);
	css_get(&origin->css);
	change->origin = origin;
	INIT_LIST_HEAD(&change->parts);
	init_waitqueue_head(&change->wait);
	init_task_work(&change->work, change_wait_work);
	INIT_WORK(&change->free, change_free_work);
	change->wants_wait = wait && !(current->flags &
				       (PF_KTHREAD | PF_IO_WORKER | PF_EXITING));
	xa_init(&change->moved);
	return change;
}

/* A part closes, or is done with that: until then it may have more jobs. */
static void part_busy(struct cm_part *part, int n)
{
	cm_stat_pending(part->cs, n);
	cm_change_busy(part->change, n);
}

static void part_free(struct cm_part *part)
{
	cm_map_put(part->map);
	cm_map_put(part->sweep);
	css_put(&part->origin->css);
	css_put(&part->cs->css);
	cm_change_put(part->change);
	kfree(part);
}

/* The last job has ended and nobody was found in the wrong place. */
static void part_finish(struct cm_part *part)
{
	enum cpuset_migrate_event event = CM_EVENT_DONE;

	if (part->stopped)
		event = CM_EVENT_STOPPED;
	else if (part->partial)
		event = CM_EVENT_PARTIAL;

	/* Who is told looks at what is pending, and who waits at all of it. */
	spin_lock(&cm_lock);
	list_del(&part->node);
	list_del(&part->sibling);
	cm_stat_pending(part->cs, -1);
	spin_unlock(&cm_lock);
	if (part->announced)
		cm_event(part->cs, event);
	spin_lock(&cm_lock);
	if (part->partial)
		part->change->partial = true;
	cm_change_busy(part->change, -1);
	spin_unlock(&cm_lock);
	part_free(part);
}

/**
 * cm_parts_stop - do not look for forked tasks, in changes of a subtree
 * @cs: the cpuset at its top
 *
 * Call with cm_lock held.
 */
void cm_parts_stop(struct cpuset *cs)
{
	struct cm_part *part;

	lockdep_assert_held(&cm_lock);

	list_for_each_entry(part, &cm_parts, node)
		if (cm_is_below(part->origin, cs))
			part->stopped = true;
}

/**
 * cm_part_put_job - a job of a part has ended, or somebody added the last one
 * @part: the part
 *
 * Call with cm_lock held.  The part may be gone when the lock is dropped.
 */
void cm_part_put_job(struct cm_part *part)
{
	lockdep_assert_held(&cm_lock);

	if (--part->nr_jobs)
		return;

	part_busy(part, 1);
	part->closes = true;
	list_add_tail(&part->closing, &cm_closing);
	queue_work(cm_change_wq, &cm_close_work);
}

/*
 * An address space follows the cpuset of its thread group's leader or, once
 * the leader has exited, that of the oldest thread still alive.
 */
static bool task_leads_mm(struct task_struct *task)
{
	struct task_struct *t;
	bool leads = false;

	rcu_read_lock();
	for_each_thread(task, t) {
		if (t->flags & PF_EXITING)
			continue;
		leads = t == task;
		break;
	}
	rcu_read_unlock();
	return leads;
}

/* Of several thread groups that share an address space, one has it. */
static bool task_group_has_mm(struct task_struct *task, struct mm_struct *mm)
{
#ifdef CONFIG_MEMCG
	struct task_struct *owner;
	bool has;

	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	has = !owner || same_thread_group(owner, task);
	rcu_read_unlock();
	return has;
#else
	return !task->vfork_done;
#endif
}

/* The address space that follows this task's cpuset, with a reference. */
static struct mm_struct *task_led_mm(struct task_struct *task)
{
	struct mm_struct *mm;

	if ((task->flags & PF_KTHREAD) || !task_leads_mm(task))
		return NULL;

	task_lock(task);
	mm = task->mm;
	if (mm && task_group_has_mm(task, mm))
		mmgrab(mm);
	else
		mm = NULL;
	task_unlock(task);
	return mm;
}

static void part_add_mm(struct cm_part *part, struct mm_struct *mm,
			struct cm_map *map, unsigned int pass)
{
	struct cpuset_migrate_job *job = cm_job_alloc(mm, part, map);

	job->pass = pass;
	list_add_tail(&job->node, &part->jobs);
	/* It may have exited, and its child be there, before the job looks. */
	if (part->only_count && part->move) {
		job->tally.n[CM_LEFT] = get_mm_rss(mm);
		cm_stat_flush(job);
	}
}

/*
 * Start the jobs that were added.  The part has one in nr_jobs for whoever
 * added them until this is done, so that it does not close halfway.  Call with
 * cpuset_mutex held.
 */
static void part_start_jobs(struct cm_part *part)
{
	struct cpuset_migrate_job *job, *next;

	list_for_each_entry_safe(job, next, &part->jobs, node) {
		list_del(&job->node);
		cm_job_start(job);
	}

	spin_lock(&cm_lock);
	cm_part_put_job(part);
	spin_unlock(&cm_lock);
}

/* Was this task, in the part's cpuset, overlooked when the jobs were made? */
static bool part_missed(struct cm_part *part, struct task_struct *task,
			struct mm_struct *mm)
{
	if (READ_ONCE(mm->cpuset_placed) == part->placement)
		return false;
	if (READ_ONCE(mm->cpuset_job))
		return false;
	/* Others were here before, and nobody asked for their memory. */
	if (part->change->kind == CPUSET_ATTACH)
		return task->start_time >= part->start;
	return true;
}

/* Does a part that is under way look for such a task when it closes? */
static bool part_looks(struct cm_part *part, struct task_struct *task,
		       struct mm_struct *mm)
{
	return part->move && part->map && !part->stopped && !part->cached &&
	       !part->looked && part->placement == part->cs->migrate.placement &&
	       part_missed(part, task, mm);
}

/*
 * Pages that a task has from its parent go where those of the parent go.  The part
 * of @cs that moves an ancestor and looks for the task when it closes; or NULL.
 */
static struct cm_part *part_of_parent(struct cpuset *cs,
				      struct task_struct *task,
				      struct mm_struct *mm)
{
	struct task_struct *parent = task;
	struct cm_part *part;
	unsigned int i;
	u64 change;

	lockdep_assert_held(&cm_lock);

	if (list_empty(&cs->migrate.parts) ||
	    list_is_singular(&cs->migrate.parts))
		return NULL;

	rcu_read_lock();
	/* The parent of a task that has been released may be gone. */
	for (i = pid_alive(task) ? 0 : CM_ANCESTORS; i < CM_ANCESTORS; i++) {
		parent = rcu_dereference(parent->real_parent);
		task_lock(parent);
		change = parent->mm ? parent->mm->cpuset_change : 0;
		task_unlock(parent);
		list_for_each_entry(part, &cs->migrate.parts, sibling)
			if (part->change->id == change && part->sweep &&
			    part->rounds < CM_CLOSE_ROUNDS &&
			    part_looks(part, task, mm))
				goto out;
	}
	part = NULL;
out:
	rcu_read_unlock();
	return part;
}

/* Is a task that was overlooked to be moved as this part moves? */
static bool part_takes(struct cm_part *part, struct task_struct *task,
		       struct mm_struct *mm)
{
	struct cm_part *other;

	if (!part_missed(part, task, mm))
		return false;

	spin_lock(&cm_lock);
	other = part_of_parent(part->cs, task, mm);
	spin_unlock(&cm_lock);
	return !other || other == part;
}

/*
 * Add the address spaces of tasks forked since; true if there are any.  Who forks
 * and exits faster than pages move gets away in the end, which is counted.
 */
static bool part_add_missed(struct cm_part *part)
{
	struct cpuset *cs = part->cs;
	struct css_task_iter it;
	struct task_struct *task;
	struct mm_struct *mm;

	if (READ_ONCE(part->stopped) || !part->map ||
	    part->rounds > CM_CLOSE_ROUNDS)
		return false;
	part->only_count = part->rounds++ == CM_CLOSE_ROUNDS;

	css_task_iter_start(&cs->css, 0, &it);
	while ((task = css_task_iter_next(&it))) {
		mm = task_led_mm(task);
		if (!mm)
			continue;
		if (part_takes(part, task, mm))
			part_add_mm(part, mm, part->sweep ?: part->map, 1);
		mmdrop(mm);
	}
	css_task_iter_end(&it);
	return !list_empty(&part->jobs);
}

/* Memory follows the tasks that enter a cpuset, but not its cache. */
static bool part_has_cache(struct cm_part *part)
{
	return part->move && !part->leave_cache &&
	       part->change->kind != CPUSET_ATTACH;
}

/* Add the job for cache that nobody maps, once; true if there is any. */
static bool part_add_cache(struct cm_part *part)
{
	struct cpuset_migrate_job *job;

	if (!part_has_cache(part))
		return false;

	job = part->cached ? NULL : cm_cache_job(part, &part->cache_nodes);
	part->cached = true;
	if (job)
		list_add_tail(&job->node, &part->jobs);
	/* That of another part is not done, which will find out. */
	else if (!cm_cache_is_moving(part->cs))
		cm_cache_placed(part->cs);
	return job;
}

/* Add what there is to do yet; false if that is nothing. */
static bool part_add_more(struct cm_part *part)
{
	/* The tasks would be those of the cpuset that its cgroup has now. */
	if (!is_cpuset_online(part->cs))
		return false;
	/* Whoever changed the nodes again since looks after it. */
	if (READ_ONCE(part->cs->migrate.placement) != part->placement)
		return false;
	return part_add_missed(part) || part_add_cache(part);
}

/* Start what was added.  The part may be gone when this returns. */
static void part_go_on(struct cm_part *part)
{
	struct cpuset_change *change = cm_change_get(part->change);
	struct cpuset *cs = part->cs;

	css_get(&cs->css);
	part->closes = false;
	part_start_jobs(part);
	spin_lock(&cm_lock);
	cm_stat_pending(cs, -1);
	cm_change_busy(change, -1);
	spin_unlock(&cm_lock);
	css_put(&cs->css);
	cm_change_put(change);
}

/*
 * All jobs of some parts have ended.  With cpuset_mutex, so that nobody changes
 * nodes or moves tasks between looking for what was missed and starting jobs
 * for it.
 */
static void parts_close_work(struct work_struct *work)
{
	struct cm_part *part, *next;
	LIST_HEAD(closing);

	spin_lock(&cm_lock);
	list_splice_init(&cm_closing, &closing);
	spin_unlock(&cm_lock);

	list_for_each_entry(part, &closing, closing) {
		part->nr_jobs = 1;
		nodes_clear(part->cache_nodes);
		if (part_has_cache(part) && !part->cached)
			cm_cache_nodes(part->cs, &part->mems,
				       &part->cache_nodes);
	}
	cpuset_lock();
	list_for_each_entry_safe(part, next, &closing, closing) {
		if (!part_add_more(part)) {
			/* Nobody leaves a task to it any more. */
			part->looked = true;
			continue;
		}
		list_del(&part->closing);
		part_go_on(part);
	}
	cpuset_unlock();

	list_for_each_entry_safe(part, next, &closing, closing)
		part_finish(part);
}

/*
 * Whose hold, max, stop and cache files a part obeys; a reference.  An earlier change
 * of the cpuset that came from further up may have tasks to find yet, and the
 * new one finds them in its place: who was given a subtree must not be able to
 * keep those from being moved.
 */
static struct cpuset *part_origin(struct cpuset_change *change,
				  struct cpuset *cs)
{
	struct cpuset *origin = change->origin;
	struct cm_part *part;

	/* Tasks that enter several cpusets were sent there from above. */
	if (change->kind == CPUSET_ATTACH)
		origin = cs;

	spin_lock(&cm_lock);
	list_for_each_entry(part, &cs->migrate.parts, sibling)
		if (part->move && cm_is_below(origin, part->origin))
			origin = part->origin;
	css_get(&origin->css);
	spin_unlock(&cm_lock);
	return origin;
}

/*
 * The part of a change of a cpuset that is under way and would look after a task,
 * which has been there only since, when it closes.
 */
static struct cm_part *part_that_looks(struct cpuset *cs,
				       struct task_struct *task,
				       struct mm_struct *mm)
{
	struct cm_part *part = part_of_parent(cs, task, mm);

	if (part)
		return part;
	list_for_each_entry(part, &cs->migrate.parts, sibling)
		if (part_looks(part, task, mm))
			return part;
	return NULL;
}

/**
 * cm_is_looked_for - does a change find a task when it closes?
 * @cs: the cpuset of the task
 * @task: the task
 *
 * Call with cpuset_mutex held.
 *
 * Return: false also where a part closes that may have looked already.
 */
bool cm_is_looked_for(struct cpuset *cs, struct task_struct *task)
{
	struct mm_struct *mm = task_led_mm(task);
	struct cm_part *part;
	bool found;

	if (!mm)
		return false;

	spin_lock(&cm_lock);
	part = part_that_looks(cs, task, mm);
	found = part && !part->closes && part->rounds < CM_CLOSE_ROUNDS;
	spin_unlock(&cm_lock);
	mmdrop(mm);
	return found;
}

/**
 * cpuset_change_leave_cpuset - a task is about to go into another cpuset
 * @change: the change, CPUSET_ATTACH
 * @task: the task
 * @from: its cpuset
 * @to: the other one
 *
 * Where both have the same nodes it is of no interest there.  But if its memory is
 * to be brought in when a change of @from ends, that would not find it any more.  So
 * it is enrolled there now; but who comes and goes does not keep that from ending.
 *
 * Call with cpuset_mutex held.
 */
void cpuset_change_leave_cpuset(struct cpuset_change *change,
				struct task_struct *task, struct cpuset *from,
				struct cpuset *to)
{
	struct mm_struct *mm;
	struct cm_part *part;

	mm = task_led_mm(task);
	if (!mm)
		return;

	spin_lock(&cm_lock);
	part = part_that_looks(from, task, mm);
	if (part && !part->closes && part->nr_jobs > part->nr_left &&
	    nodes_equal(from->effective_mems, to->effective_mems)) {
		part->nr_jobs++;
		part->nr_left++;
	} else if (part) {
		change->behind = true;
		part = NULL;
	}
	spin_unlock(&cm_lock);
	if (part) {
		mm->cpuset_change = ~change->id;
		part_add_mm(part, mm, part->sweep ?: part->map, 1);
		list_last_entry(&part->jobs, struct cpuset_migrate_job,
				node)->left = true;
		part_start_jobs(part);
	}
	mmdrop(mm);
}

/**
 * cpuset_change_add_cpuset - name a cpuset whose tasks are to follow
 * @change: the change
 * @cs: the cpuset
 * @mems: the nodes its tasks have from now on
 * @move: pages move; otherwise only policies are rebound
 *
 * Call with cpuset_mutex held.  The nodes of a cpuset have changed when this
 * returns, so it cannot fail: what it allocates is small.
 *
 * Return: what cpuset_change_add_task() wants; the same for the same cpuset.
 */
struct cm_part *cpuset_change_add_cpuset(struct cpuset_change *change,
					 struct cpuset *cs,
					 const nodemask_t *mems, bool move)
{
	struct cm_part *part = cs->migrate.adding;

	if (part && part->change == change)
		return part;

	part = kzalloc(sizeof(*part), GFP_KERNEL | __GFP_NOFAIL);
	refcount_inc(&change->ref);
	part->change = change;
	css_get(&cs->css);
	part->cs = cs;
	part->origin = part_origin(change, cs);
	part->leave_cache = cm_cache_is_left(part->origin);
	if (change->kind == CPUSET_NEW_MEMS) {
		/* The nodes of @cs have changed; see cpuset_migrate_exec() */
		smp_store_release(&cs->migrate.placement,
				  atomic64_inc_return(&cm_last_name));
		cm_cache_change(cs, change, mems, move && !part->leave_cache);
	}
	part->mems = *mems;
	part->placement = cs->migrate.placement;
	part->start = ktime_get_ns();
	part->move = move;
	part->nr_jobs = 1;
	INIT_LIST_HEAD(&part->jobs);
	list_add_tail(&part->node, &change->parts);
	cs->migrate.adding = part;
	return part;
}

/*
 * Who has entered is looked after where it was.  Until then it has children with
 * pages that are not in place either.
 */
static void part_wait_for(struct cm_part *part, struct mm_struct *mm)
{
	struct cpuset_migrate_job *job;

	spin_lock(&cm_lock);
	job = mm->cpuset_job;
	if (job && job->left && !job->also) {
		job->also = part;
		part->nr_jobs++;
	}
	spin_unlock(&cm_lock);
}

/**
 * cpuset_change_add_task - name a task whose memory is to follow its cpuset
 * @part: the cpuset, from cpuset_change_add_cpuset()
 * @task: the task, in that cpuset already; every thread may be named
 * @old: its mems_allowed before
 *
 * Call with cpuset_mutex held.  Does not fail, see cpuset_change_add_cpuset().
 */
void cpuset_change_add_task(struct cm_part *part, struct task_struct *task,
			    const nodemask_t *old)
{
	struct mm_struct *mm = task_led_mm(task);
	bool looked_after = false;
	unsigned int pass = 0;
	nodemask_t from;

	if (!mm)
		return;

	/* Named already, through another task that shares it. */
	if (mm->cpuset_change == part->change->id)
		goto out;

	nodes_and(from, *old, node_states[N_MEMORY]);
	if (part->change->unasked) {
		/* Who moves it finds what is to be brought in. */
		pass = 1;
	} else if (part->change->kind == CPUSET_ATTACH &&
		   nodes_equal(from, part->mems)) {
		/* The same nodes; but what is under way has to come along. */
		looked_after = mm->cpuset_change == ~part->change->id;
		if (!looked_after && !READ_ONCE(mm->cpuset_job)) {
			if (!part->change->behind)
				goto out;
			/* Forked by who was moved, it may have pages of its own. */
			pass = 1;
		}
	}

	if (!part->map || !nodes_equal(part->old, from)) {
		cm_map_put(part->map);
		part->map = cm_map_alloc(&from, &part->mems);
		part->old = from;
		if (!part->sweep && !nodes_equal(from, part->mems))
			part->sweep = cm_map_get(part->map);
	}
	mm->cpuset_change = part->change->id;
	if (looked_after)
		part_wait_for(part, mm);
	else
		part_add_mm(part, mm, part->map, pass);
out:
	mmdrop(mm);
}

/**
 * cpuset_change_end - everybody is named: start moving
 * @change: the change, which may be gone when this returns
 *
 * Call with cpuset_mutex held, so that changes start in the order in which the
 * nodes were set.  A writer that waits does so when it returns to user space.
 */
void cpuset_change_end(struct cpuset_change *change)
{
	struct cm_part *part, *next;

	/* Each may be gone as soon as its jobs are started. */
	list_for_each_entry_safe(part, next, &change->parts, node) {
		part->cs->migrate.adding = NULL;
		/* What entered is where it should be. */
		if (change->kind == CPUSET_ATTACH && list_empty(&part->jobs) &&
		    READ_ONCE(part->nr_jobs) == 1) {
			list_del(&part->node);
			part_free(part);
			continue;
		}
		if (part->move && !change->unasked) {
			part->announced = true;
			cm_event(part->cs, CM_EVENT_START);
		}
		spin_lock(&cm_lock);
		list_move_tail(&part->node, &cm_parts);
		list_add_tail(&part->sibling, &part->cs->migrate.parts);
		spin_unlock(&cm_lock);
		part_start_jobs(part);
	}

	if (change->wants_wait && READ_ONCE(change->busy) &&
	    !task_work_add(current, &change->work, TWA_RESUME))
		return;
	cm_change_put(change);
}

static int __init cm_change_init(void)
{
	cm_change_wq = alloc_workqueue("cpuset_migrate_change", WQ_UNBOUND, 0);
	return cm_change_wq ? 0 : -ENOMEM;
}
core_initcall(cm_change_init);
