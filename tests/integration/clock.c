/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into the program under test: what its clocks tell.  The file $TEST_CLOCK holds two
 * numbers, by how many seconds CLOCK_BOOTTIME and CLOCK_REALTIME are ahead; with $TEST_CLOCK_FAST,
 * all clocks go so many times as fast, and what waits for them wakes that much sooner.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <time.h>

static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_wait)(int, struct epoll_event *, int, int);
static double fast;
static struct timespec begin[16];

static double seconds(const struct timespec *t)
{
	return (double)t->tv_sec + (double)t->tv_nsec / 1e9;
}

__attribute__((constructor)) static void find(void)
{
	const char *text = getenv("TEST_CLOCK_FAST");

	real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	real_wait = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
	for (int clock = 0; clock < 16; clock++)
		(void)real_gettime(clock, &begin[clock]);
	fast = text != NULL ? atof(text) : 1;
}

static double ahead(clockid_t clock)
{
	const char *path = getenv("TEST_CLOCK");
	FILE *file = path != NULL ? fopen(path, "re") : NULL;
	double boot = 0, real = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%lf %lf", &boot, &real) != 2)
		boot = real = 0;
	(void)fclose(file);
	return clock == CLOCK_BOOTTIME ? boot : real;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r = real_gettime(clock, ret);
	double now;

	if (r != 0 || clock < 0 || clock >= 16)
		return r;
	now = seconds(&begin[clock]) + (seconds(ret) - seconds(&begin[clock])) * fast;
	if (clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME)
		now += ahead(clock);
	ret->tv_sec = (time_t)now;
	ret->tv_nsec = (long)((now - (double)ret->tv_sec) * 1e9);
	return 0;
}

int gettimeofday(struct timeval *ret, void *zone)
{
	struct timespec now;
	int r = clock_gettime(CLOCK_REALTIME, &now);

	(void)zone;
	ret->tv_sec = now.tv_sec;
	ret->tv_usec = now.tv_nsec / 1000;
	return r;
}

time_t time(time_t *ret)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret != NULL)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	if (timeout > 0)
		timeout = (int)(timeout / fast) + 1;
	return real_wait(fd, events, max, timeout);
}
