/* SPDX-License-Identifier: MIT */
/*
 * One message body on its way from a server to another: written at the end while it arrives, read
 * from the front while it is sent, possibly at the same time.  Up to LIMIT_SPOOL_MEMORY bytes stay
 * in memory; a longer one goes to an unlinked temporary file.
 */
#ifndef INTERIMAP_BASE_SPOOL_H
#define INTERIMAP_BASE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct spool;

/* `size` is the announced number of bytes; nothing is allocated for it in advance beyond the memory
 * limit. */
struct spool *spool_new(uint64_t size);
struct spool *spool_free(struct spool *spool);

uint64_t spool_size(const struct spool *spool); /* as announced */

/*
 * Makes room for all of it on the disk where it does not stay in memory.  0: it will find room; 1:
 * that is not known, since the file system cannot say; or -errno.  Before the first write.
 */
int spool_reserve(struct spool *spool);
/* Whether a spool of that size could be reserved now: 0, or -errno. */
int spool_probe(uint64_t size);

/* Appends.  0, or -errno (no space for the temporary file), or -EFBIG for more than was announced.
 */
int spool_write(struct spool *spool, const void *data, size_t n);
bool spool_complete(const struct spool *spool);
/* What the last write that failed returned; 0: none did. */
int spool_failure(const struct spool *spool);

/* Marks that the rest will never come; a reader then gets -EPIPE. */
void spool_abort(struct spool *spool);

/*
 * Reads up to n bytes at the given offset (what a reader has had so far).  Bytes read; 0 when the
 * rest has not arrived yet or at the end; -EPIPE after spool_abort(); another -errno from the
 * temporary file.
 */
ssize_t spool_read(struct spool *spool, uint64_t offset, void *data, size_t n);

/* Called after each write and abort, if set: the reader's chance to go on. */
void spool_on_growth(struct spool *spool, void (*growth)(void *reader), void *reader);

#endif
