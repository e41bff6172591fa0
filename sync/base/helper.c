/* SPDX-License-Identifier: MIT */
/*
 * The loop reads both pipes, and no worker thread: one that waits for a program could neither be
 * called off nor kill it, and there are but a few of them.  The end of the program counts, and not
 * the end of what it prints: what it has left running in the background, such as an agent that it
 * started, may hold its standard output for good.
 */
#include "sync/base/helper.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sync/base/child.h"
#include "sync/base/limits.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"

struct helper {
	struct helper_handler *handler;
	struct loop *loop;
	struct task task; /* tells the handler, outside of the events of what it may free */
	struct ev_child child;
	struct ev_io out, err;
	struct ev_timer deadline;
	pid_t pid; /* -1: it does not run */
	struct helper_result result;

	/* One more than it may print.  No buffer that grows: that leaves copies behind. */
	char printed[LIMIT_HELPER_OUTPUT + 1];
	size_t len;
	char line[LIMIT_HELPER_LINE + 1], said[LIMIT_HELPER_LINE + 1];
	size_t line_len;
};

static enum step step(struct task *task)
{
	return STEP_DONE;
}

static void finished(struct task *task, enum step result)
{
	struct helper *helper = container_of(task, struct helper, task);

	helper->handler->ended(helper->handler, &helper->result);
}

static void stop_reading(struct helper *helper, struct ev_io *io)
{
	ev_io_stop(helper->loop->ev, io);
	if (io->fd >= 0)
		(void)close(io->fd);
	ev_io_set(io, -1, 0);
}

static void stop(struct helper *helper)
{
	stop_reading(helper, &helper->out);
	stop_reading(helper, &helper->err);
	ev_timer_stop(helper->loop->ev, &helper->deadline);
	ev_child_stop(helper->loop->ev, &helper->child);
	if (helper->pid <= 0)
		return;
	(void)kill(-helper->pid, SIGKILL);
	child_reap(helper->loop, helper->pid);
	helper->pid = -1;
}

static void end_line(struct helper *helper)
{
	if (helper->line_len == 0)
		return;
	helper->line[helper->line_len] = '\0';
	memcpy(helper->said, helper->line, helper->line_len + 1);
	helper->line_len = 0;
}

static void settle(struct helper *helper, enum helper_end end, int number)
{
	stop(helper);
	end_line(helper);
	helper->printed[helper->len] = '\0';
	helper->result = (struct helper_result){
		.end = end,
		.number = number,
		.printed = helper->printed,
		.len = helper->len,
		.said = helper->said[0] != '\0' ? helper->said : NULL,
	};
	task_wake(&helper->task);
}

/* Reads what there is.  False when it has printed too much. */
static bool read_out(struct helper *helper)
{
	ssize_t n;

	while (helper->out.fd >= 0 && helper->len < sizeof(helper->printed)) {
		n = read(helper->out.fd, helper->printed + helper->len,
			sizeof(helper->printed) - helper->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			stop_reading(helper, &helper->out);
		else
			helper->len += (size_t)n;
	}
	if (helper->len < sizeof(helper->printed))
		return true;
	helper->len--;
	return false;
}

static void take_said(struct helper *helper, const char *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (data[i] == '\n' || data[i] == '\r')
			end_line(helper);
		else if (helper->line_len < LIMIT_HELPER_LINE)
			helper->line[helper->line_len++] = data[i] != '\0' ? data[i] : '?';
	}
}

/* A program that says something without end has its time, and the loop has its turns meanwhile. */
static void read_err(struct helper *helper)
{
	char data[4096];
	ssize_t n = read(helper->err.fd, data, sizeof(data));

	if (n > 0)
		take_said(helper, data, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		stop_reading(helper, &helper->err);
	explicit_bzero(data, sizeof(data));
}

static void on_out(struct ev_loop *ev, struct ev_io *io, int revents)
{
	struct helper *helper = container_of(io, struct helper, out);

	if (!read_out(helper))
		settle(helper, HELPER_VERBOSE, 0);
}

static void on_err(struct ev_loop *ev, struct ev_io *io, int revents)
{
	read_err(container_of(io, struct helper, err));
}

/* What it printed at last is in the pipes: 64 KiB at most. */
static void on_exit_of(struct ev_loop *ev, struct ev_child *child, int revents)
{
	struct helper *helper = container_of(child, struct helper, child);
	int status = child->rstatus;

	helper->pid = -1;
	for (int i = 0; i < 16 && helper->err.fd >= 0; i++)
		read_err(helper);
	if (!read_out(helper))
		settle(helper, HELPER_VERBOSE, 0);
	else if (WIFSIGNALED(status))
		settle(helper, HELPER_KILLED, WTERMSIG(status));
	else
		settle(helper, HELPER_EXITED, WEXITSTATUS(status));
}

static void on_deadline(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	settle(container_of(timer, struct helper, deadline), HELPER_LATE, 0);
}

struct helper *helper_new(struct loop *loop, const struct child_options *options, unsigned seconds,
	struct helper_handler *handler)
{
	struct helper *helper = xcalloc(1, sizeof(*helper));
	int out = -1, err = -1;

	helper->loop = loop;
	helper->handler = handler;
	task_init(&helper->task, loop, step, finished);
	helper->pid = child_spawn_printing(options, &out, &err);
	ev_io_init(&helper->out, on_out, out, EV_READ);
	ev_io_init(&helper->err, on_err, err, EV_READ);
	ev_timer_init(&helper->deadline, on_deadline, seconds, 0.);
	ev_child_init(&helper->child, on_exit_of, helper->pid, 0);
	if (helper->pid < 0) {
		settle(helper, HELPER_NOT_RUN, -helper->pid);
		return helper;
	}
	ev_io_start(loop->ev, &helper->out);
	ev_io_start(loop->ev, &helper->err);
	ev_timer_start(loop->ev, &helper->deadline);
	ev_child_start(loop->ev, &helper->child);
	return helper;
}

struct helper *helper_free(struct helper *helper)
{
	if (helper == NULL)
		return NULL;
	stop(helper);
	task_cancel(&helper->task);
	explicit_bzero(helper, sizeof(*helper));
	free(helper);
	return NULL;
}

bool helper_is_attended(const struct helper *helper)
{
	return helper->task.queued || ev_is_active(&helper->child);
}
