// SPDX-License-Identifier: GPL-2.0
/*
 * A driver whose memory follows the process that maps it.
 *
 * Each open file of /dev/numa_buffer has a buffer of its own, of at most 64 MiB.
 * Who maps it shared gets pages by frame number, as drivers map what a device
 * reads and writes: the rest of the kernel cannot move them.  When the memory of
 * the process moves to other nodes, the driver is asked through ->migrate().
 *
 * read() gives a byte for each page: the node it is on, or 255 if there is none.
 */

#include <linux/cpuset_migrate.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define BUFFER_PAGES	((64UL << 20) / PAGE_SIZE)
#define NO_NODE		255

static bool follow = true;
module_param(follow, bool, 0644);
MODULE_PARM_DESC(follow, "what is mapped from now on follows its owner (default: yes)");

static unsigned int busy;
module_param(busy, uint, 0644);
MODULE_PARM_DESC(busy, "every so many-th page is in use, to see what becomes of it (default: 0, none)");

static unsigned int nomem;
module_param(nomem, uint, 0644);
MODULE_PARM_DESC(nomem, "every so many-th page finds no memory (default: 0, none)");

/**
 * struct buffer_page - one page of a buffer
 * @page: the page, or NULL if nobody has touched it
 * @change: the change it was moved for last; a second mapping asks again
 */
struct buffer_page {
	struct page	*page;
	u64		change;
};

/**
 * struct buffer - what an open file has
 * @lock: keeps pages from being mapped while one of them is replaced
 * @mapping: where the pages are mapped through
 * @memcg: whom pages are charged to, whoever touches or moves them
 * @pages: the pages
 */
struct buffer {
	struct mutex		lock;
	struct address_space	*mapping;
	struct mem_cgroup	*memcg;
	struct buffer_page	pages[];
};

/* On a node, or with NUMA_NO_NODE where the policy of the task says. */
static struct page *buffer_alloc_page(struct buffer *buffer, int nid, gfp_t gfp)
{
	struct mem_cgroup *old = set_active_memcg(buffer->memcg);
	struct page *page;

	gfp |= __GFP_ACCOUNT;
	if (nid == NUMA_NO_NODE)
		page = alloc_page(gfp);
	else
		page = alloc_pages_node(nid, gfp, 0);
	set_active_memcg(old);
	return page;
}

static vm_fault_t buffer_fault(struct vm_fault *vmf)
{
	struct buffer *buffer = vmf->vma->vm_private_data;
	struct buffer_page *p;
	vm_fault_t ret = VM_FAULT_OOM;

	if (vmf->pgoff >= BUFFER_PAGES)
		return VM_FAULT_SIGBUS;
	p = &buffer->pages[vmf->pgoff];

	mutex_lock(&buffer->lock);
	if (!p->page)
		p->page = buffer_alloc_page(buffer, NUMA_NO_NODE,
					    GFP_HIGHUSER | __GFP_ZERO);
	if (p->page)
		ret = vmf_insert_pfn(vmf->vma, vmf->address,
				     page_to_pfn(p->page));
	mutex_unlock(&buffer->lock);
	return ret;
}

#ifdef CONFIG_CPUSET_MIGRATE
/* Is a page one of those that a parameter is about? */
static bool is_one_of(struct buffer *buffer, struct buffer_page *p,
		      unsigned int every)
{
	return every && (p - buffer->pages) % every == 0;
}

/* Call with the lock held, and the page mapped nowhere. */
static void page_migrate(struct buffer *buffer, struct buffer_page *p,
			 struct vma_migration *m)
{
	int nid = page_to_nid(p->page);
	int dst = vma_migration_node(m, nid);
	struct page *page = NULL;

	if (dst == nid) {
		m->inplace++;
		return;
	}
	/* Where a device is at work on it. */
	if (is_one_of(buffer, p, READ_ONCE(busy))) {
		m->busy++;
		return;
	}
	if (!is_one_of(buffer, p, READ_ONCE(nomem)))
		page = buffer_alloc_page(buffer, dst,
					 GFP_HIGHUSER | __GFP_THISNODE |
					 __GFP_NORETRY | __GFP_NOWARN);
	if (!page) {
		m->nomem++;
		return;
	}
	copy_highpage(page, p->page);
	__free_page(p->page);
	p->page = page;
	p->change = m->change;
	m->moved++;
}

static void buffer_migrate(struct vm_area_struct *vma, unsigned long start,
			   unsigned long end, struct vma_migration *m)
{
	struct buffer *buffer = vma->vm_private_data;
	pgoff_t first = linear_page_index(vma, start);
	pgoff_t last = first + ((end - start) >> PAGE_SHIFT);
	struct buffer_page *p;

	last = min(last, BUFFER_PAGES);
	if (first >= last)
		return;

	mutex_lock(&buffer->lock);
	unmap_mapping_range(buffer->mapping, (loff_t)first << PAGE_SHIFT,
			    (loff_t)(last - first) << PAGE_SHIFT, 1);
	for (p = &buffer->pages[first]; p < &buffer->pages[last]; p++)
		if (p->page && p->change != m->change)
			page_migrate(buffer, p, m);
	mutex_unlock(&buffer->lock);
}
#endif

static const struct vm_operations_struct buffer_vm_ops = {
	.fault = buffer_fault,
#ifdef CONFIG_CPUSET_MIGRATE
	.migrate = buffer_migrate,
#endif
};

/* As drivers are that know of no nodes. */
static const struct vm_operations_struct buffer_still_vm_ops = {
	.fault = buffer_fault,
};

static int buffer_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_pgoff + vma_pages(vma) > BUFFER_PAGES)
		return -ENXIO;
	vm_flags_set(vma, VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = file->private_data;
	vma->vm_ops = follow ? &buffer_vm_ops : &buffer_still_vm_ops;
	return 0;
}

static ssize_t buffer_read(struct file *file, char __user *to, size_t count,
			   loff_t *pos)
{
	struct buffer *buffer = file->private_data;
	size_t done = 0;
	u8 nid;

	for (; done < count && *pos >= 0 && *pos < BUFFER_PAGES;
	     done++, ++*pos) {
		mutex_lock(&buffer->lock);
		nid = buffer->pages[*pos].page ?
			page_to_nid(buffer->pages[*pos].page) : NO_NODE;
		mutex_unlock(&buffer->lock);
		if (put_user(nid, to + done))
			return done ?: -EFAULT;
	}
	return done;
}

static int buffer_open(struct inode *inode, struct file *file)
{
	struct buffer *buffer;

	buffer = kvzalloc(struct_size(buffer, pages, BUFFER_PAGES),
			  GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return -ENOMEM;
	mutex_init(&buffer->lock);
	/* That of the device: what others have mapped is just mapped again. */
	buffer->mapping = file->f_mapping;
	buffer->memcg = get_mem_cgroup_from_mm(current->mm);
	file->private_data = buffer;
	return 0;
}

static int buffer_release(struct inode *inode, struct file *file)
{
	struct buffer *buffer = file->private_data;
	unsigned long i;

	for (i = 0; i < BUFFER_PAGES; i++)
		if (buffer->pages[i].page)
			__free_page(buffer->pages[i].page);
	mem_cgroup_put(buffer->memcg);
	kvfree(buffer);
	return 0;
}

static const struct file_operations buffer_fops = {
	.owner		= THIS_MODULE,
	.open		= buffer_open,
	.release	= buffer_release,
	.read		= buffer_read,
	.llseek		= default_llseek,
	.mmap		= buffer_mmap,
};

static struct miscdevice buffer_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "numa_buffer",
	.fops	= &buffer_fops,
	.mode	= 0666,
};
module_misc_device(buffer_device);

MODULE_DESCRIPTION("Memory of a driver that follows its owner's NUMA nodes");
MODULE_LICENSE("GPL");
