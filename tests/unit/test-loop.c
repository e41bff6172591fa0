/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "sync/base/loop.h"
#include "sync/base/xalloc.h"

struct count {
	struct task task;
	unsigned steps, until; /* DONE at this step */
	enum step between;
	unsigned finished;
	enum step result;
	struct task *other; /* woken at each step */
	bool in_step;
};

static struct loop loop;
static char order[32];
static size_t at;

static enum step step(struct task *task)
{
	struct count *count = container_of(task, struct count, task);

	assert_false(count->in_step);
	count->in_step = true;
	count->steps++;
	if (count->other != NULL)
		task_wake(count->other);
	count->in_step = false;
	return count->steps >= count->until ? STEP_DONE : count->between;
}

static void finished(struct task *task, enum step result)
{
	struct count *count = container_of(task, struct count, task);

	count->finished++;
	count->result = result;
}

static void init(struct count *count, unsigned until, enum step between)
{
	*count = (struct count){.until = until, .between = between};
	task_init(&count->task, &loop, step, finished);
}

static int setup(void **state)
{
	loop_init(&loop);
	at = 0;
	return 0;
}

static int teardown(void **state)
{
	loop_done(&loop);
	return 0;
}

static void again(void **state)
{
	struct count count;

	init(&count, 5000, STEP_AGAIN); /* more than a turn's share */
	task_wake(&count.task);
	assert_int_equal(count.steps, 0); /* never from inside the caller */
	loop_run(&loop); /* ends when there is nothing left to do */
	assert_int_equal(count.steps, 5000);
	assert_int_equal(count.finished, 1);
	assert_int_equal(count.result, STEP_DONE);
	task_wake(&count.task); /* it is over */
	loop_run(&loop);
	assert_int_equal(count.steps, 5000);
}

static void waits(void **state)
{
	struct count count;

	init(&count, 3, STEP_WAIT);
	task_wake(&count.task);
	task_wake(&count.task); /* queued already */
	loop_run(&loop);
	assert_int_equal(count.steps, 1);
	task_wake(&count.task);
	task_wake(&count.task);
	loop_run(&loop);
	assert_int_equal(count.steps, 2);
	task_wake(&count.task);
	task_cancel(&count.task);
	task_cancel(&count.task);
	loop_run(&loop);
	assert_int_equal(count.steps, 2);
	assert_int_equal(count.finished, 0);
}

/* Two that wake each other take turns, and none is entered while it runs. */
static void ping_pong(void **state)
{
	struct count a, b;

	init(&a, 10000, STEP_WAIT);
	init(&b, 10000, STEP_WAIT);
	a.other = &b.task;
	b.other = &a.task;
	task_wake(&a.task);
	loop_run(&loop);
	assert_int_equal(a.steps, 10000);
	assert_int_equal(a.finished, 1);
	assert_true(b.steps >= 9999);
	task_cancel(&b.task);
}

/* One that is always busy does not keep timers from running. */
static void on_timer(struct ev_loop *ev, struct ev_timer *watcher, int revents)
{
	loop_stop(&loop);
}

static void busy(void **state)
{
	struct count count;
	struct ev_timer timer;

	init(&count, UINT32_MAX, STEP_AGAIN);
	task_wake(&count.task);
	ev_timer_init(&timer, on_timer, 0.05, 0);
	ev_timer_start(loop.ev, &timer);
	loop_run(&loop);
	assert_true(count.steps > 1);
	assert_int_equal(count.finished, 0);
	task_cancel(&count.task);
}

struct letter {
	struct task task;
	char name;
};

static enum step note(struct task *task)
{
	order[at++] = container_of(task, struct letter, task)->name;
	return STEP_WAIT;
}

static void in_order(void **state)
{
	struct letter letters[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}};

	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		task_init(&letters[i].task, &loop, note, NULL);
	task_wake(&letters[1].task);
	task_wake(&letters[0].task);
	task_wake(&letters[2].task);
	task_wake(&letters[1].task); /* keeps its place */
	loop_run(&loop);
	assert_int_equal(at, 3);
	assert_memory_equal(order, "bac", 3);
}

struct owned {
	struct task task;
	unsigned *freed;
};

static enum step fail_at_once(struct task *task)
{
	return STEP_FAILED;
}

static void free_owned(struct task *task, enum step result)
{
	struct owned *owned = container_of(task, struct owned, task);

	assert_int_equal(result, STEP_FAILED);
	++*owned->freed;
	free(owned);
}

static void freed_when_finished(void **state)
{
	struct owned *owned = xcalloc(1, sizeof(*owned));
	unsigned freed = 0;

	owned->freed = &freed;
	task_init(&owned->task, &loop, fail_at_once, free_owned);
	task_wake(&owned->task);
	loop_run(&loop);
	assert_int_equal(freed, 1);
}

/* Steps that take long hold up a socket for about ten milliseconds, and not for all of them: a timer
 * that is due at once comes before the last. */
enum { SLOW = 60 };
static unsigned slow_steps;

static enum step step_slowly(struct task *task)
{
	ev_tstamp begin = ev_time();

	while (ev_time() - begin < 0.002)
		;
	slow_steps++;
	return STEP_DONE;
}

static void on_due(struct ev_loop *ev, ev_timer *timer, int revents)
{
	*(unsigned *)timer->data = slow_steps;
}

static void a_turn_is_short(void **state)
{
	struct task tasks[SLOW];
	unsigned before = 0;
	ev_timer due;

	slow_steps = 0;
	ev_timer_init(&due, on_due, 0.001, 0);
	due.data = &before;
	ev_timer_start(loop.ev, &due);
	for (size_t i = 0; i < SLOW; i++) {
		task_init(&tasks[i], &loop, step_slowly, NULL);
		task_wake(&tasks[i]);
	}
	loop_run(&loop);
	assert_int_equal(slow_steps, SLOW);
	assert_in_range(before, 1, SLOW / 2);
}

/* What is checked before each sleep sees no woken task, and at least one state between two events.
 */
struct looker {
	struct loop_check check;
	unsigned looks;
};

static void look(struct loop_check *check)
{
	assert_null(loop.queue);
	container_of(check, struct looker, check)->looks++;
}

static void checks(void **state)
{
	struct looker first = {.check.check = look}, second = {.check.check = look};
	struct count count;

	init(&count, 3, STEP_WAIT);
	loop_add_check(&loop, &first.check);
	loop_add_check(&loop, &second.check);
	task_wake(&count.task);
	loop_run(&loop);
	assert_int_equal(first.looks > 0, INTERIMAP_CHECKS);
	assert_int_equal(second.looks, first.looks);
	loop_remove_check(&loop, &first.check);
	first.looks = 0;
	task_wake(&count.task);
	loop_run(&loop);
	assert_int_equal(first.looks, 0);
	assert_int_equal(second.looks > 0, INTERIMAP_CHECKS);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(again),
		TEST(waits),
		TEST(ping_pong),
		TEST(in_order),
		TEST(busy),
		TEST(a_turn_is_short),
		TEST(checks),
		TEST(freed_when_finished),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
