// SPDX-License-Identifier: GPL-2.0
/*
 * A model of the life of a job in kernel/cpuset-migrate/, for spin: what change.c
 * and job.c do with changes, parts and jobs, and the line of limit.c.  What
 * stands for a function has its name.  test_model.py says which bounds are
 * searched, and breaks the model (BUG) to see that it notices.
 *
 * What happens under cm_lock is one step; cm_job_start() is two.  Steps of their
 * own are what others do or see without it: mm_users, mm->cpuset_job as exit and
 * the sweep read it, hold files, change->busy as the writer reads it.
 *
 * Pages: an address space has CHUNKS of them, and remembers for each which
 * changes it was moved for.  A map is the set of changes that it stands for, so
 * that two maps in a row are their union.
 *
 * Every change concerns every cpuset, and has PARTS of them.  Changes are
 * written at one of two levels, of which one is above the other.
 *
 * Left out: attach (its jobs are like those of other changes, but for who is
 * named), jobs that only bind policies, more than one pass, the order in the
 * line, want of memory, and that a child can be seen a moment after its pages
 * were copied.
 */

/* Bounds; and who acts, beside writers and workers */
#ifndef MMS
#define MMS	1	/* address spaces */
#endif
#ifndef CHANGES
#define CHANGES	2	/* writes of new nodes, each waits for the end */
#endif
#ifndef PARTS
#define PARTS	1	/* cpusets */
#endif
#ifndef CHUNKS
#define CHUNKS	1	/* of an address space */
#endif
#ifndef FORK
#define FORK	0	/* the last address space is a child of the first */
#endif
#ifndef EXIT
#define EXIT	0	/* address spaces may exit */
#endif
#ifndef HOLD
#define HOLD	0	/* writes of hold: 1, 2 with the release */
#endif
#ifndef STOP
#define STOP	0	/* somebody may write to stop */
#endif
#ifndef FAILS
#define FAILS	0	/* how often a limit lets nobody go on */
#endif
#ifndef LEVELS
#define LEVELS	1	/* 2: changes, hold and stop also from above */
#endif
#ifndef KILL
#define KILL	0	/* writers may be killed while they wait */
#endif
#ifndef BUG
#define BUG	0	/* what to break; see test_model.py */
#endif

/* CM_CLOSE_ROUNDS: there is one fork, so more would find nobody. */
#define ROUNDS	1

#define NR_PARTS	(CHANGES * PARTS)
#define SWEEPS		(CHANGES * MMS)		/* first job of a sweep */
#define JOBS		(SWEEPS * (1 + FORK))
#define NOBODY		JOBS

#define CHANGE_OF(p)	((p) / PARTS)
#define PART_OF(c, m)	((c) * PARTS + (m) % PARTS)
#define JOB_OF(c, m)	((c) * MMS + (m))
/* All changes up to one */
#define UP_TO(c)	((1 << ((c) + 1)) - 1)
#define BORN(m)		(FORK == 0 || (m) < MMS - 1)

#define BELOW	0
#define ABOVE	1

/* enum cm_job_state, and before and after it */
mtype = { UNUSED, NEW, QUEUED, RUNNING, THROTTLED, HELD, ENDED, FREED };
/* enum job_verdict */
mtype = { RUN, BIND, COUNT_LEFT, OFF };


/* struct cpuset_migrate_job; its mm and its part follow from its number */
typedef job_type {
	mtype state = UNUSED;
	byte	ref;
	bit	origin;
	bit	pending;		/* on the workqueue */
	bit	working;		/* in job_work() */
	bit	listed;			/* in cm_jobs */
	bit	stop;
	bit	exited;
	byte	next = NOBODY;
	bit	bound;
	bit	pass;
	byte	cursor;
	byte	range[CHUNKS];		/* the map for each chunk */
	bit	line;			/* in cm_throttled */
	bit	turn;
	bit	granted;
};

/* struct cm_part */
typedef part_type {
	bit	live;
	bit	listed;			/* in cm_parts */
	bit	origin;
	byte	nr_jobs;
	byte	rounds;
	bit	map;
	bit	stopped;
	bit	close;			/* parts_close_work() is queued */
	byte	closing;		/* how often that is counted in busy */
	bit	adder;			/* who adds jobs is counted in nr_jobs */
};

/* struct cpuset_change */
typedef change_type {
	bit	live;
	byte	ref;
	byte	busy;
	bit	waiter;			/* the writer has a reference */
	bit	origin;
	bit	woken;
};

/* struct mm_struct, and the task that leads it */
typedef mm_type {
	byte	users;
	byte	count;
	byte	job = NOBODY;
	byte	placed;
	bit	task;			/* can be seen in its cpuset */
	bit	forking;
	bit	gone;			/* was in exit_mmap() */
	byte	moved[CHUNKS];
};

job_type job[JOBS];
part_type part[NR_PARTS];
change_type change[CHANGES];
mm_type mm[MMS];

bit cm_lock;
bit cpuset_mutex;
byte next_write;		/* writers are alike, so they go in order */
byte placement;			/* of every cpuset; a change's number, from 1 */
bit hold[LEVELS];
bit stopped_at[LEVELS];		/* somebody wrote to that stop file */
byte fails = FAILS;
byte deny;			/* of whom who asks next */
bit limit_work;			/* cm_limit_work is pending */
byte css;			/* references to cpusets */
byte nr_pending, nr_held;	/* cm_stat_pending(), cm_stat_held() */
byte writers = CHANGES;		/* that have not returned */

/* Of one step; functions that are called have their own. */
hidden byte e_next, e_part, e_mm, s_cur, s_next, t_map, t_i;
hidden byte i_job, i_sum, i_part, i_place, l_job, x_job;
hidden mtype e_state;
hidden byte l_wait;

#define MM(j)		((j) % MMS)
#define PART(j)		PART_OF(((j) % SWEEPS) / MMS, MM(j))
#define STARTED(j)	(job[j].state == QUEUED || job[j].state == RUNNING || \
			 job[j].state == THROTTLED || job[j].state == HELD)
#define IS_NEXT(j, m)	(mm[m].job != NOBODY && job[mm[m].job].next == (j))

/* cm_is_held(): there or above */
#if LEVELS > 1
#define IS_HELD(level)	(hold[level] || hold[ABOVE])
#else
#define IS_HELD(level)	hold[level]
#endif
/* cm_is_below(): does what is written at @at concern who is at @level? */
#define CONCERNS(at, level)	((at) >= (level))

inline invariants_of_job(j, m)
{
	/* It is in one place: mm->cpuset_job, ->next or part->jobs. */
	i_place = (mm[m].job == j) + IS_NEXT(j, m) + (job[j].state == NEW);
	assert(i_place == (job[j].state != ENDED));
	assert(job[j].listed == STARTED(j));
	assert(job[j].ref == i_place + job[j].pending + job[j].working);
	/* Who runs is on its address space, so that no other does. */
	assert(job[j].state != RUNNING || mm[m].job == j && job[j].working);
	assert(job[j].next == NOBODY || job[j].state == RUNNING);
	assert(!IS_NEXT(j, m) || job[j].state == QUEUED && !job[j].pending);
	/* On the workqueue, or seen there already; the others are not. */
	assert(job[j].state != QUEUED || IS_NEXT(j, m) || job[j].pending ||
	       job[j].working);
	assert(!job[j].pending || job[j].state == QUEUED ||
	       job[j].state == ENDED);
	assert(job[j].line == (job[j].state == THROTTLED));
	assert(!job[j].granted || job[j].state == RUNNING ||
	       job[j].state == QUEUED);
	/* Who is told from above to move is stopped from there only. */
	assert(!job[j].stop || stopped_at[job[j].origin] ||
	       stopped_at[LEVELS - 1])
}

inline invariants_of_part(p)
{
	i_sum = part[p].adder;
	i_job = 0;
	do
	:: i_job < JOBS ->
		i_sum = i_sum + (PART(i_job) == p &&
				 (job[i_job].state == NEW || STARTED(i_job)));
		i_job++
	:: else -> break
	od;
	assert(part[p].nr_jobs == i_sum);
	assert(!i_sum || part[p].live)
}

inline invariants_of_change(c)
{
	i_sum = 0;
	i_job = 0;
	do
	:: i_job < JOBS ->
		i_sum = i_sum + (CHANGE_OF(PART(i_job)) == c &&
				 STARTED(i_job) && job[i_job].state != HELD);
		i_job++
	:: else -> break
	od;
	i_job = c * PARTS;
	do
	:: i_job < (c + 1) * PARTS ->
		i_sum = i_sum + part[i_job].closing;
		i_job++
	:: else -> break
	od;
	assert(change[c].busy == i_sum);
	assert(!i_sum || change[c].live)
}

/* When cm_lock is dropped, every count is that of what it counts. */
inline invariants()
{
	i_job = 0;
	do
	:: i_job < JOBS ->
		if
		:: job[i_job].state == UNUSED || job[i_job].state == FREED
		:: else -> invariants_of_job(i_job, MM(i_job))
		fi;
		i_job++
	:: else -> break
	od;
	i_part = 0;
	do
	:: i_part < NR_PARTS -> invariants_of_part(i_part); i_part++
	:: else -> break
	od;
	i_part = 0;
	do
	:: i_part < CHANGES -> invariants_of_change(i_part); i_part++
	:: else -> break
	od;
	i_part = 0
}

/* change.c */

inline cm_change_put(c)
{
	assert(change[c].live && change[c].ref);
	change[c].ref--;
	if
	:: change[c].ref == 0 ->
		assert(change[c].busy == 0);
		change[c].live = 0;
		css--
	:: else
	fi
}

inline change_busy_inc(c)
{
	assert(change[c].live);
	change[c].busy++
}

/*
 * cm_change_busy().  The writer may see that nobody is busy before it is woken,
 * and drop its reference: somebody else must have one.  And nobody may have
 * ended whose part does not know.
 */
inline change_busy_dec(c)
{
	assert(change[c].live && change[c].busy);
	change[c].busy--;
	if
	:: change[c].busy == 0 ->
		assert(change[c].ref > change[c].waiter);
		i_part = c * PARTS;
		do
		:: i_part < (c + 1) * PARTS ->
			invariants_of_part(i_part);
			i_part++
		:: else -> break
		od;
#if BUG != 1
		change[c].woken = 1
#endif
	:: else
	fi
}

inline cm_part_put_job(p)
{
	assert(part[p].live && part[p].nr_jobs);
	part[p].nr_jobs--;
	if
	:: part[p].nr_jobs == 0 ->
		change_busy_inc(CHANGE_OF(p));
		part[p].closing++;
		assert(!part[p].close);
		part[p].close = 1
	:: else
	fi
}

/* limit.c */

inline cm_limit_leave(j)
{
	job[j].line = 0;
	job[j].granted = 0
}

/* Time passes, so that everybody may go on at last. */
inline job_take(j)
{
	l_wait = deny > 0;
	if
	:: l_wait -> deny--; fails--
	:: else -> job[j].granted = 1
	fi
}

inline cm_limit_serve()
{
	l_job = 0;
	do
	:: l_job < JOBS ->
		if
		:: job[l_job].line ->
			l_wait = 0;
			if
			:: IS_HELD(job[l_job].origin)
			:: else -> job_take(l_job)
			fi;
			if
			:: l_wait -> limit_work = 1
			:: else ->
				job[l_job].line = 0;
				if
				:: job[l_job].state == THROTTLED ->
					cm_job_queue(l_job)
				:: else
				fi;
				job[l_job].turn = 1
			fi
		:: else
		fi;
		l_job++
	:: else -> break
	od
}

/* Who may not go on is in the line afterwards. */
inline cm_limit_take(j)
{
	if
	:: FAILS == 0 || job[j].granted
	:: else ->
		if
		:: job[j].turn ->
			job_take(j);
			if
			:: l_wait ->
				job[j].turn = 0;
				job[j].line = 1;
				limit_work = 1
			:: else
			fi
		:: else ->
			job[j].line = 1;
			cm_limit_serve()
		fi
	fi
}

/* Before a step that may ask: how many are told to wait */
inline choose_deny()
{
	if
	:: deny = 0
	:: fails > 0 -> deny = 1
	:: fails > 1 && MMS > 1 -> deny = 2
	fi;
	skip
}

/* job.c */

inline job_put(j)
{
	assert(job[j].state != FREED && job[j].ref);
	job[j].ref--;
	if
	:: job[j].ref == 0 ->
		assert(job[j].state == ENDED);
		assert(!job[j].listed && !job[j].pending && !job[j].line);
		assert(mm[MM(j)].job != j && job[j].next == NOBODY);
		job[j].state = FREED;
		/* What is not looked at any more is not to make a difference. */
		job[j].origin = 0;
		job[j].stop = 0;
		job[j].exited = 0;
		job[j].bound = 0;
		job[j].pass = 0;
		job[j].cursor = 0;
		job[j].turn = 0;
		t_i = 0;
		do
		:: t_i < CHUNKS -> job[j].range[t_i] = 0; t_i++
		:: else -> break
		od;
		mm[MM(j)].count--;
		css--
	:: else
	fi
}

inline cm_job_alloc(j, p, sweep)
{
	assert(job[j].state == UNUSED);
	job[j].state = NEW;
	job[j].ref = 1;
	job[j].origin = part[p].origin;
	job[j].pass = sweep;
	t_i = 0;
	do
	:: t_i < CHUNKS -> job[j].range[t_i] = 1 << CHANGE_OF(p); t_i++
	:: else -> break
	od;
	mm[MM(j)].count++;
	css++;
	part[p].nr_jobs++
}

inline cm_job_queue(j)
{
	assert(job[j].state != ENDED && job[j].state != FREED);
	if
	:: job[j].state == HELD ->
		nr_held--;
#if BUG != 2
		change_busy_inc(CHANGE_OF(PART(j)))
#endif
	:: else
	fi;
	job[j].line = 0;
	job[j].turn = 0;
	job[j].state = QUEUED;
	job[j].ref++;
	/* queue_work() would not queue it twice, and a reference stay. */
	assert(!job[j].pending);
	job[j].pending = 1;
	printf("job %d queued\n", j)
}

inline job_end(j)
{
	printf("job %d ends, was %e\n", j, job[j].state);
	e_next = job[j].next;
	e_state = job[j].state;
	e_part = PART(j);
	e_mm = MM(j);
	assert(e_state == NEW || STARTED(j));

	job[j].state = ENDED;
	job[j].next = NOBODY;
#if BUG != 3
	cm_limit_leave(j);
#endif
	if
	:: mm[e_mm].job == j ->
#if BUG == 4
		mm[e_mm].job = NOBODY
#else
		mm[e_mm].job = e_next;
		if
		:: e_next != NOBODY ->
#if BUG != 5
			job[e_next].exited = job[j].exited;
#endif
			cm_job_queue(e_next)
		:: else
		fi
#endif
	:: else
	fi;
	if
	:: e_state != NEW -> job[j].listed = 0; nr_pending--
	:: else
	fi;
	if
	:: e_state == HELD -> nr_held--
	:: else
	fi;
#if BUG != 6
	cm_part_put_job(e_part);
#endif
	if
#if BUG == 7
	:: e_state != NEW -> change_busy_dec(CHANGE_OF(e_part))
#else
	:: e_state != NEW && e_state != HELD ->
		change_busy_dec(CHANGE_OF(e_part))
#endif
	:: else
	fi;
#if BUG == 6
	cm_part_put_job(e_part);
#endif
	job_put(j)
}

inline job_take_over(new, old)
{
#if LEVELS > 1
	if
	:: job[old].origin > job[new].origin ->
#if BUG != 8
		job[new].origin = job[old].origin;
#endif
#if BUG != 9
		job[new].stop = job[new].stop && job[old].stop
#endif
	:: else
	fi;
#endif
	t_map = job[new].range[0];
	printf("job %d takes over from %d\n", new, old);
	t_i = (job[old].pass -> CHUNKS : job[old].cursor);
	do
	:: t_i < CHUNKS ->
#if BUG != 10
		job[new].range[t_i] = job[old].range[t_i] | t_map;
#endif
		t_i++
	:: else -> break
	od
}

/* The first part of cm_job_start(); is the job on its address space then? */
inline job_put_on(j, m)
{
	s_cur = mm[m].job;
	if
	:: s_cur != NOBODY && job[j].pass -> job_end(j)
	:: else ->
		job[j].listed = 1;
		nr_pending++;
		change_busy_inc(CHANGE_OF(PART(j)));
		job[j].state = QUEUED;
#if BUG != 11
		job[j].stop = part[PART(j)].stopped;
#endif
		if
		:: s_cur != NOBODY && job[s_cur].state == RUNNING ->
			s_next = job[s_cur].next;
			job[s_cur].next = NOBODY;
			if
			:: s_next != NOBODY ->
				job_take_over(j, s_next);
				job_end(s_next)
			:: else
			fi;
			job[s_cur].next = j
		:: else ->
			mm[m].job = j;
			if
			:: s_cur != NOBODY ->
				job_take_over(j, s_cur);
				job_end(s_cur)
			:: else
			fi
		fi
	fi
}

/*
 * The job is on its address space before that is asked for users.  Bug 12 asks
 * first, as a processor may without smp_mb().
 */
inline cm_job_start(j, m)
{
#if BUG == 12
	d_step {
		!cm_lock -> cm_lock = 1;
		unused = mm[m].users == 0
	}
	d_step {
		job_put_on(j, m);
#else
	d_step {
		!cm_lock -> cm_lock = 1;
		job_put_on(j, m);
#endif
		on = mm[m].job == j;
		if
		:: on
		:: else -> cm_lock = 0; invariants()
		fi;
		s_cur = 0
	}
	if
	:: on ->
		d_step {
#if BUG != 12
			unused = mm[m].users == 0;
#endif
			if
			:: unused -> job[j].exited = 1
			:: else
			fi;
			cm_job_queue(j);
			cm_lock = 0;
			on = 0;
			unused = 0;
			invariants()
		}
	:: else
	fi
}

/* cpuset_migrate_exit(): looks without cm_lock, and then with it */
inline cpuset_migrate_exit(m)
{
	if
	:: mm[m].job != NOBODY ->
		d_step {
			!cm_lock ->
			x_job = mm[m].job;
			if
			:: x_job != NOBODY && job[x_job].state == RUNNING ->
				job[x_job].exited = 1
#if BUG != 13
			:: x_job != NOBODY && job[x_job].state != RUNNING ->
				job_end(x_job)
#endif
			:: else
			fi;
			invariants()
		}
	:: else
	fi
}

inline mm_users_dec(m)
{
	assert(mm[m].users);
	mm[m].users--;
	last = mm[m].users == 0
}

/* The rest of mmput() */
inline mmput_last(m)
{
	if
	:: last ->
		cpuset_migrate_exit(m);
		d_step {
			printf("mm %d is gone\n", m);
			mm[m].gone = 1;
			mm[m].count--;
			last = 0
		}
	:: else
	fi
}

inline job_check(j, m)
{
	verdict = OFF;
	if
	:: job[j].state == ENDED
	:: job[j].state != ENDED && job[j].exited -> job_end(j)
	:: job[j].state != ENDED && !job[j].exited ->
		if
		:: job[j].next != NOBODY ->
			s_next = job[j].next;
			job_take_over(s_next, j);
			job_end(j)
		:: job[j].next == NOBODY && !job[j].bound ->
			job[j].state = RUNNING;
			/* job_bind(), which nobody else sees */
			job[j].bound = 1;
			verdict = BIND
		:: job[j].next == NOBODY && job[j].bound ->
			job_may_run(j)
		fi
	fi;
	assert(verdict == OFF || !mm[m].gone || job[j].exited)
}

inline job_may_run(j)
{
	if
	:: job[j].stop ->
		job[j].state = RUNNING;
		verdict = COUNT_LEFT
	:: !job[j].stop && IS_HELD(job[j].origin) ->
		printf("job %d held\n", j);
		job[j].state = HELD;
		cm_limit_leave(j);
		nr_held++;
#if BUG != 14
		change_busy_dec(CHANGE_OF(PART(j)))
#endif
	:: !job[j].stop && !IS_HELD(job[j].origin) ->
		cm_limit_take(j);
		if
		:: job[j].line ->
			printf("job %d throttled\n", j);
			job[j].state = THROTTLED
		:: else ->
			job[j].state = RUNNING;
			verdict = RUN;
			/* Its part was stopped where that concerns it. */
			assert(!part[PART(j)].stopped ||
			       job[j].origin != part[PART(j)].origin)
		fi
	fi
}

/* The pages of one chunk, for all who visit it */
inline cm_walk_chunk(j, m)
{
	assert(!mm[m].gone && mm[m].users);
	t_map = job[j].range[job[j].cursor];
	if
	:: job[j].pass || !BORN(m) ->
		/* By their nodes */
		t_map = UP_TO(CHANGE_OF(PART(j)))
	:: else ->
		/* No change moves a page twice, and none is left out. */
		assert(!(mm[m].moved[job[j].cursor] & t_map));
		t_map = mm[m].moved[job[j].cursor] | t_map;
		assert(stopped_at[0] || stopped_at[LEVELS - 1] ||
		       t_map == UP_TO(CHANGE_OF(PART(j))))
	fi;
	mm[m].moved[job[j].cursor] = t_map;
	printf("job %d chunk %d: now %d\n", j, job[j].cursor, t_map);
	job[j].cursor++
}

/* job_chunk(): @more if there is */
inline job_chunk(j, m)
{
	d_step {
		more = mm[m].users != 0;
		mm[m].users = mm[m].users + more
	}
	if
	:: more ->
		d_step {
			cm_walk_chunk(j, m);
			more = job[j].cursor < CHUNKS;
			mm_users_dec(m);
			/* cm_limit_settle() */
			job[j].granted = 0
		}
		mmput_last(m)
	:: else
	fi
}

inline job_finish(j, m)
{
	d_step {
		!cm_lock ->
		printf("job %d is done\n", j);
		if
		:: job[j].stop
		:: else -> mm[m].placed = CHANGE_OF(PART(j)) + 1
		fi;
		job_end(j);
		invariants()
	}
}

inline job_yield(j)
{
	d_step {
		!cm_lock ->
#if BUG == 17
		yield = 1;
#else
		yield = job[j].next == NOBODY && !job[j].exited;
#endif
		if
		:: yield -> cm_job_queue(j)
		:: else
		fi;
		invariants()
	}
}

/* One for each job: a work item does not run twice at a time. */
proctype job_work(byte j)
{
	mtype verdict;
	bit more, yield, last;

end:	do
	:: d_step {
		job[j].pending ->
		job[j].pending = 0;
		job[j].working = 1
	   }
	   do
	   :: atomic {
		!cm_lock ->
		choose_deny();
		d_step {
			job_check(j, MM(j));
			deny = 0;
			invariants()
		}
	      }
	      if
	      :: verdict == OFF -> break
	      :: verdict == BIND
	      :: verdict == COUNT_LEFT -> job_finish(j, MM(j)); break
	      :: verdict == RUN ->
		job_chunk(j, MM(j));
		if
		:: !more -> job_finish(j, MM(j)); break
		:: more
		:: more ->
			/* its time is over */
			job_yield(j);
			if
			:: yield -> break
			:: else
			fi
		fi
	      fi
	   od;
	   skip;
	   d_step {
		verdict = OFF;
		more = 0;
		yield = 0;
		job[j].working = 0;
		job_put(j)
	   }
	od
}

active proctype limit_tick()
{
end:	do
	:: atomic {
		limit_work && !cm_lock ->
		choose_deny();
		d_step {
			limit_work = 0;
			cm_limit_serve();
			deny = 0;
			invariants()
		}
	}
	od
}

/* change.c, again */

/* cpuset_change_begin(), and cpuset_change_add_task() for each leader */
inline change_make(c)
{
	printf("change %d from level %d\n", c, origin);
	change[c].live = 1;
	change[c].ref = 1;
	change[c].waiter = 1;
	change[c].origin = origin;
	css++;
	placement = c + 1;
	i_part = c * PARTS;
	do
	:: i_part < (c + 1) * PARTS ->
		change[c].ref++;
		css++;
		part[i_part].live = 1;
		part[i_part].origin = origin;
		part[i_part].nr_jobs = 1;
		part[i_part].adder = 1;
		i_part++
	:: else -> break
	od;
	m = 0;
	do
	:: m < MMS ->
		if
		:: mm[m].task ->
			part[PART_OF(c, m)].map = 1;
			cm_job_alloc(JOB_OF(c, m), PART_OF(c, m), 0)
		:: else
		fi;
		m++
	:: else -> break
	od;
	m = 0
}

/* Nobody else knows of such a job. */
#define IS_NEW(j, p)	(job[j].state == NEW && PART(j) == (p))

/* part_start_jobs(): @base is where the jobs are */
inline part_start_jobs(p, base)
{
	m = 0;
	do
	:: m < MMS ->
		if
		:: IS_NEW(base + m, p) -> cm_job_start(base + m, m)
		:: else
		fi;
		m++
	:: else -> break
	od;
	m = 0;
	d_step {
		!cm_lock ->
		part[p].adder = 0;
		cm_part_put_job(p);
		invariants()
	}
}

inline cpuset_change_end(c)
{
	p = c * PARTS;
	do
	:: p < (c + 1) * PARTS ->
		d_step { !cm_lock -> part[p].listed = 1 }
		part_start_jobs(p, c * MMS);
		p++
	:: else -> break
	od;
	skip
}

/* wait_event() sees that it has to sleep when it is on the list already. */
inline change_wait(c)
{
	do
	:: d_step {
		change[c].woken = 0;
		done = change[c].busy == 0
	   }
	   if
	   :: done -> break
	   :: else
	   fi;
	   if
	   :: change[c].woken
	   :: KILL -> break
	   fi
	od
}

proctype writer(byte c)
{
	byte m, p;
	bit on, unused, origin, done;

	atomic {
		next_write == c && !cpuset_mutex ->
		if
		:: origin = BELOW
		:: LEVELS > 1 -> origin = ABOVE
		fi;
		d_step {
			cpuset_mutex = 1;
			next_write++;
			change_make(c);
			invariants()
		}
	}
	cpuset_change_end(c);
	cpuset_mutex = 0;
	change_wait(c);
	skip;
	d_step {
		printf("writer %d returns\n", c);
		change[c].waiter = 0;
		change[c].woken = 0;
		cm_change_put(c);
		writers--
	}
}

/* part_add_missed() */
inline part_add_missed(p)
{
	missed = 0;
	m = 0;
	do
	:: m < MMS ->
		if
		:: mm[m].task && PART_OF(CHANGE_OF(p), m) == p &&
		   placement == CHANGE_OF(p) + 1 &&
		   mm[m].placed != placement && mm[m].job == NOBODY ->
			/* Only a child was not named. */
			assert(!BORN(m));
			cm_job_alloc(SWEEPS + JOB_OF(CHANGE_OF(p), m), p, 1);
			printf("part %d missed mm %d\n", p, m);
			missed = 1
		:: else
		fi;
		m++
	:: else -> break
	od;
	m = 0
}

/* part_finish() */
inline part_finish(p)
{
	d_step {
		!cm_lock ->
		assert(part[p].listed && part[p].closing == 1);
		assert(part[p].nr_jobs == 1 && !part[p].close);
		part[p].nr_jobs = 0;
		part[p].adder = 0;
		part[p].listed = 0;
		part[p].closing--;
		change_busy_dec(CHANGE_OF(p));
		invariants()
	}
	d_step {
		/* part_free() */
		printf("part %d closed\n", p);
		part[p].live = 0;
		part[p].stopped = 0;
		part[p].map = 0;
		part[p].rounds = 0;
		part[p].origin = 0;
		css--;
		cm_change_put(CHANGE_OF(p));
		/* and the sweep's own reference */
		cm_change_put(CHANGE_OF(p));
		look = 0
	}
}

proctype parts_close_work(byte p)
{
	byte m;
	bit on, unused, missed, look;

end:	do
	:: d_step {
		part[p].close ->
		part[p].close = 0;
		assert(part[p].live && part[p].nr_jobs == 0);
		change[CHANGE_OF(p)].ref++;
		part[p].nr_jobs = 1;
		part[p].adder = 1;
#if BUG != 18
		look = !part[p].stopped && part[p].map &&
		       part[p].rounds < ROUNDS;
#endif
		part[p].rounds = part[p].rounds + look
	   }
	   if
	   :: look ->
		d_step {
			!cpuset_mutex ->
			part_add_missed(p);
			cpuset_mutex = missed
		}
	   :: else
	   fi;
	   if
	   :: missed ->
		part_start_jobs(p, SWEEPS + CHANGE_OF(p) * MMS);
		cpuset_mutex = 0;
#if BUG != 15
		d_step {
			!cm_lock ->
			part[p].closing--;
			change_busy_dec(CHANGE_OF(p));
			invariants()
		}
#endif
		d_step {
			missed = 0;
			look = 0;
			cm_change_put(CHANGE_OF(p))
		}
	   :: else -> part_finish(p)
	   fi
	od
}

/* cgroupfs.c */

inline cm_jobs_recheck()
{
	atomic {
		!cm_lock ->
		choose_deny();
		d_step {
			x_job = 0;
			do
			:: x_job < JOBS ->
				if
				:: job[x_job].listed &&
				   job[x_job].state == HELD &&
				   !IS_HELD(job[x_job].origin) ->
					cm_job_queue(x_job)
				:: else
				fi;
				x_job++
			:: else -> break
			od;
			cm_limit_serve();
			deny = 0;
			invariants()
		}
	}
}

/* hold_write(), or max_write() of 0; a release is also css_offline() */
proctype holder()
{
	bit level;

	if
	:: level = BELOW
	:: LEVELS > 1 -> level = ABOVE
	fi;
	d_step { hold[level] = 1; printf("hold at level %d\n", level) }
	cm_jobs_recheck();
	if
	:: HOLD > 1 ->
		d_step { hold[level] = 0; printf("release\n") }
#if BUG != 16
		cm_jobs_recheck()
#endif
	:: else
	fi
}

inline cm_parts_stop()
{
	x_job = 0;
	do
	:: x_job < NR_PARTS ->
		if
		:: part[x_job].listed && CONCERNS(level, part[x_job].origin) ->
			part[x_job].stopped = 1
		:: else
		fi;
		x_job++
	:: else -> break
	od
}

/* stop_write(), cm_jobs_stop() */
proctype stopper()
{
	bit level;

	atomic {
		!cm_lock ->
		if
		:: level = BELOW
		:: LEVELS > 1 -> level = ABOVE
		fi;
		d_step {
			printf("stop at level %d\n", level);
			stopped_at[level] = 1;
			cm_parts_stop();
			x_job = 0;
			do
			:: x_job < JOBS ->
				if
				:: job[x_job].listed &&
				   CONCERNS(level, job[x_job].origin) ->
					job[x_job].stop = 1;
					part[PART(x_job)].stopped = 1;
					if
					:: job[x_job].state == HELD ||
					   job[x_job].state == THROTTLED ->
						cm_job_queue(x_job)
					:: else
					fi
				:: else
				fi;
				x_job++
			:: else -> break
			od;
			invariants()
		}
	}
}

/* The rest of the kernel */

proctype exiter(byte m)
{
	bit last;

end:	if
	:: d_step {
		mm[m].task && !mm[m].forking ->
		mm[m].task = 0;
		mm_users_dec(m)
	   }
	   mmput_last(m)
	:: true
	fi
}

/* copy_mm(): what is remembered as placed was so before pages are copied. */
proctype forker()
{
	byte i, child = MMS - 1;

end:	d_step {
		mm[0].task ->
		mm[0].forking = 1;
		mm[child].placed = mm[0].placed
	}
	d_step {
		i = 0;
		do
		:: i < CHUNKS -> mm[child].moved[i] = mm[0].moved[i]; i++
		:: else -> break
		od;
		i = 0;
		mm[child].users = 1;
		mm[child].count = 1;
		mm[child].task = 1;
		printf("fork\n");
		mm[0].forking = 0
	}
}

/*
 * When nothing can happen any more: everybody has returned, who is held is held
 * for a reason, and of the others nothing is left.
 */
inline final()
{
	assert(!cm_lock && !cpuset_mutex && writers == 0);
	i = 0;
	do
	:: i < JOBS ->
		if
		:: job[i].state == HELD ->
			assert(HOLD == 1 && IS_HELD(job[i].origin));
			assert(mm[MM(i)].users);
			held++
		:: else ->
			assert(job[i].state == UNUSED || job[i].state == FREED)
		fi;
		i++
	:: else -> break
	od;
	assert(nr_pending == held && nr_held == held);
	assert(held || css == 0);
	i = 0;
	do
	:: i < NR_PARTS -> assert(held || !part[i].live); i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < CHANGES -> assert(held || !change[i].live); i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < MMS ->
		assert(mm[i].job != NOBODY || mm[i].count == mm[i].task);
		/* The last one wins, and what is said above is done. */
		c = 0;
		do
		:: c < CHANGES * CHUNKS ->
			assert(!mm[i].task || stopped_at[0] ||
			       stopped_at[LEVELS - 1] || hold[LEVELS - 1] ||
			       (held && change[c / CHUNKS].origin == BELOW) ||
			       mm[i].moved[c % CHUNKS] & (1 << (c / CHUNKS)));
			c++
		:: else -> break
		od;
		i++
	:: else -> break
	od
}

init {
	byte i, c, held;

	atomic {
		i = 0;
		do
		:: i < MMS ->
			if
			:: BORN(i) ->
				mm[i].users = 1;
				mm[i].count = 1;
				mm[i].task = 1
			:: else
			fi;
			if
			:: i < EXIT -> run exiter(i)
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < JOBS -> run job_work(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < CHANGES -> run writer(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < NR_PARTS -> run parts_close_work(i); i++
		:: else -> break
		od;
		if
		:: HOLD -> run holder()
		:: else
		fi;
		if
		:: STOP -> run stopper()
		:: else
		fi;
		if
		:: FORK -> run forker()
		:: else
		fi;
		i = 0
	}
	timeout -> final()
}

#ifdef LIVENESS
/* With weak fairness: every write returns, and every job ends. */
ltl returns { <> (writers == 0) }
ltl ends { <> [] (nr_pending == nr_held) }
#endif
