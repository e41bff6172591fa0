/* SPDX-License-Identifier: MIT */
#include "sync/base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sync/base/fault.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"

struct spool {
	uint64_t size;
	uint64_t written;
	char *memory; /* NULL once it is in the file, or while nothing was written */
	size_t allocated;
	int fd; /* -1 while in memory */
	bool aborted;
	int failure;
	void (*growth)(void *reader);
	void *reader;
};

struct spool *spool_new(uint64_t size)
{
	struct spool *spool = xcalloc(1, sizeof(*spool));

	spool->size = size;
	spool->fd = -1;
	return spool;
}

struct spool *spool_free(struct spool *spool)
{
	if (spool == NULL)
		return NULL;
	if (spool->fd >= 0)
		(void)close(spool->fd);
	free(spool->memory);
	free(spool);
	return NULL;
}

uint64_t spool_size(const struct spool *spool)
{
	return spool->size;
}

bool spool_complete(const struct spool *spool)
{
	return spool->written == spool->size;
}

int spool_failure(const struct spool *spool)
{
	return spool->failure;
}

static int open_temporary(void)
{
	const char *dir = getenv("TMPDIR");
	_cleanup_free_ char *path = NULL;
	int fd;

	if (fault_due(FAULT_SPOOL))
		return -ENOSPC;
	if (dir == NULL || dir[0] != '/')
		dir = "/var/tmp"; /* not /tmp, which often is memory: a body is there because it is
				     large */
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	path = xasprintf("%s/interimap-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	(void)unlink(path);
	return fd;
}

static int write_all(int fd, const char *data, size_t n, uint64_t offset)
{
	if (fault_due(FAULT_SPOOL))
		return -ENOSPC;
	while (n > 0) {
		ssize_t done = pwrite(fd, data, n, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		data += done;
		n -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

static int move_to_file(struct spool *spool)
{
	int fd = open_temporary();
	int r;

	if (fd < 0)
		return fd;
	r = write_all(fd, spool->memory, (size_t)spool->written, 0);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	free(take(spool->memory));
	spool->fd = fd;
	return 0;
}

/* Not posix_fallocate(), which writes all of it where the file system cannot do better. */
static int reserve(int fd, uint64_t size)
{
	int r;

	do
		r = fallocate(fd, 0, 0, (off_t)size);
	while (r < 0 && errno == EINTR);
	if (r < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
		return 1;
	return r < 0 ? -errno : 0;
}

int spool_reserve(struct spool *spool)
{
	int r;

	if (spool->size <= LIMIT_SPOOL_MEMORY)
		return 0;
	r = move_to_file(spool);
	return r < 0 ? r : reserve(spool->fd, spool->size);
}

int spool_probe(uint64_t size)
{
	struct spool *spool = spool_new(size);
	int r = spool_reserve(spool);

	spool_free(spool);
	return r < 0 ? r : 0;
}

static void write_memory(struct spool *spool, const void *data, size_t n)
{
	size_t want = (size_t)spool->written + n;

	if (want > spool->allocated) {
		size_t size = spool->allocated > 0 ? spool->allocated : 4096;

		while (size < want)
			size *= 2;
		if (size > spool->size) /* the announced size is within the limit here, so it bounds
					   this one */
			size = (size_t)spool->size;
		spool->memory = xreallocarray(spool->memory, size, 1);
		spool->allocated = size;
	}
	memcpy(spool->memory + spool->written, data, n);
}

int spool_write(struct spool *spool, const void *data, size_t n)
{
	int r = 0;

	if (n > spool->size - spool->written)
		return -EFBIG;
	if (n == 0)
		return 0;
	if (spool->fd < 0 && spool->size > LIMIT_SPOOL_MEMORY)
		r = move_to_file(spool);
	if (r == 0 && spool->fd >= 0)
		r = write_all(spool->fd, data, n, spool->written);
	else if (r == 0)
		write_memory(spool, data, n);
	if (r < 0) {
		spool->failure = r;
		return r;
	}
	spool->written += n;
	if (spool->growth != NULL)
		spool->growth(spool->reader);
	return 0;
}

void spool_abort(struct spool *spool)
{
	spool->aborted = true;
	if (spool->growth != NULL)
		spool->growth(spool->reader);
}

ssize_t spool_read(struct spool *spool, uint64_t offset, void *data, size_t n)
{
	ssize_t done;

	if (spool->aborted && !spool_complete(spool))
		return -EPIPE;
	if (offset >= spool->written)
		return 0;
	if (n > spool->written - offset)
		n = (size_t)(spool->written - offset);
	if (spool->fd < 0) {
		memcpy(data, spool->memory + offset, n);
		return (ssize_t)n;
	}
	do
		done = pread(spool->fd, data, n, (off_t)offset);
	while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

void spool_on_growth(struct spool *spool, void (*growth)(void *reader), void *reader)
{
	spool->growth = growth;
	spool->reader = reader;
}
