// SPDX-License-Identifier: GPL-2.0
/*
 * copycost: what it costs the kernel to copy pages of a process, and nothing else.
 *
 * A process writes "ADDRESS,PAGES,NODE" to /sys/kernel/debug/copycost. Its pages from
 * that address on are copied, a page table's worth at a time, to folios of the same order
 * fresh from NODE, which are compared and freed again. Only the copying is timed: once
 * with copy_highpage() a page, once with folio_mc_copy(), which migration uses. Reading the
 * file gives the sums of the last write.
 */

#include <linux/debugfs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#define BATCH	512

/**
 * struct batch - pages that are copied together
 * @from: pages of the process, each with a reference
 * @to: where each is copied
 * @pages: how many
 * @folio: the folios that @to are in
 * @origin: the folios that @from are in, one for each of @folio
 * @folios: how many
 */
struct batch {
	struct page *from[BATCH];
	struct page *to[BATCH];
	int pages;
	struct folio *folio[BATCH];
	struct folio *origin[BATCH];
	int folios;
};

static DEFINE_MUTEX(lock);
static struct dentry *file;
static u64 copied, highpage_ns, folio_ns;

static int batch_allocate(struct batch *batch, int node)
{
	/* The cpuset of the process need not have the node. */
	const gfp_t gfp = (GFP_HIGHUSER_MOVABLE & ~__GFP_HARDWALL) | __GFP_THISNODE;
	int i;

	for (i = 0; i < batch->pages; i++) {
		struct folio *origin = page_folio(batch->from[i]), *folio;

		if (!batch->folios || batch->origin[batch->folios - 1] != origin) {
			folio = __folio_alloc_node(gfp, folio_order(origin), node);
			if (!folio)
				return -ENOMEM;
			batch->folio[batch->folios] = folio;
			batch->origin[batch->folios++] = origin;
		}
		folio = batch->folio[batch->folios - 1];
		batch->to[i] = folio_page(folio, folio_page_idx(origin, batch->from[i]));
	}
	return 0;
}

static int batch_compare(struct batch *batch)
{
	int i;

	for (i = 0; i < batch->pages; i++)
		if (memcmp(page_address(batch->to[i]), page_address(batch->from[i]), PAGE_SIZE))
			return -EIO;
	return 0;
}

static int batch_copy(struct batch *batch)
{
	int i, err = 0;
	u64 start;

	start = ktime_get_ns();
	for (i = 0; i < batch->pages; i++)
		copy_highpage(batch->to[i], batch->from[i]);
	highpage_ns += ktime_get_ns() - start;

	start = ktime_get_ns();
	for (i = 0; i < batch->folios; i++)
		err = err ?: folio_mc_copy(batch->folio[i], batch->origin[i]);
	folio_ns += ktime_get_ns() - start;

	copied += batch->pages;
	return err ?: batch_compare(batch);
}

static void batch_free(struct batch *batch)
{
	int i;

	for (i = 0; i < batch->folios; i++)
		folio_put(batch->folio[i]);
	for (i = 0; i < batch->pages; i++)
		put_page(batch->from[i]);
}

static int copy_range(unsigned long address, unsigned long pages, int node)
{
	struct batch *batch = kvmalloc(sizeof(*batch), GFP_KERNEL);
	int err = batch ? 0 : -ENOMEM;

	while (pages && !err) {
		batch->folios = 0;
		batch->pages = get_user_pages_fast(address, min(pages, BATCH), 0, batch->from);
		if (batch->pages <= 0) {
			err = batch->pages ?: -EFAULT;
			break;
		}
		address += (unsigned long)batch->pages << PAGE_SHIFT;
		pages -= batch->pages;
		err = batch_allocate(batch, node);
		if (!err)
			err = batch_copy(batch);
		batch_free(batch);
		cond_resched();
		if (fatal_signal_pending(current))
			err = -EINTR;
	}
	kvfree(batch);
	return err;
}

static ssize_t copycost_write(struct file *unused, const char __user *text, size_t len,
			      loff_t *pos)
{
	unsigned long address, pages;
	char line[64] = "";
	int node, err;

	if (len >= sizeof(line) || copy_from_user(line, text, len))
		return -EINVAL;
	if (sscanf(line, "%li,%lu,%d", &address, &pages, &node) != 3)
		return -EINVAL;
	if (!PAGE_ALIGNED(address) || node < 0 || node >= MAX_NUMNODES || !node_online(node))
		return -EINVAL;
	mutex_lock(&lock);
	copied = 0;
	highpage_ns = 0;
	folio_ns = 0;
	err = copy_range(address, pages, node);
	mutex_unlock(&lock);
	return err ?: len;
}

static ssize_t copycost_read(struct file *unused, char __user *text, size_t len, loff_t *pos)
{
	char line[128];
	int used;

	mutex_lock(&lock);
	used = scnprintf(line, sizeof(line), "pages %llu\nhighpage_ns %llu\nfolio_ns %llu\n",
			 copied, highpage_ns, folio_ns);
	mutex_unlock(&lock);
	return simple_read_from_buffer(text, len, pos, line, used);
}

static const struct file_operations copycost_fops = {
	.owner = THIS_MODULE,
	.read = copycost_read,
	.write = copycost_write,
};

static int __init copycost_init(void)
{
	file = debugfs_create_file("copycost", 0600, NULL, NULL, &copycost_fops);
	return PTR_ERR_OR_ZERO(file);
}
module_init(copycost_init);

static void __exit copycost_exit(void)
{
	debugfs_remove(file);
}
module_exit(copycost_exit);

MODULE_DESCRIPTION("Times the copying of a process's pages");
MODULE_LICENSE("GPL");
