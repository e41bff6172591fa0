/* SPDX-License-Identifier: MIT */
#include "net-fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "sync/base/limits.h"
#include "sync/base/worker.h"

struct sum {
	struct chore chore;
	pthread_t thread; /* that ran it */
	int operand, result;
	int gate; /* read end of a pipe to wait for, or -1 */
};

static unsigned completed, abandoned, right;
static pthread_t main_thread;
static atomic_uint hanging; /* chores that wait at their gate */

static void run(struct chore *chore)
{
	struct sum *sum = container_of(chore, struct sum, chore);
	char byte;

	if (sum->gate >= 0) {
		hanging++;
		(void)!read(sum->gate, &byte, 1);
	}
	sum->thread = pthread_self();
	sum->result = sum->operand * 2;
}

static void on_completed(struct chore *chore)
{
	struct sum *sum = container_of(chore, struct sum, chore);

	assert_true(pthread_equal(pthread_self(), main_thread));
	completed++;
	abandoned += chore->abandoned;
	if (!chore->abandoned) {
		right += sum->result == sum->operand * 2;
		assert_false(pthread_equal(sum->thread, main_thread));
	}
	free(sum);
}

static struct sum *submit(struct worker *worker, int operand, int gate)
{
	struct sum *sum = xcalloc(1, sizeof(*sum));

	sum->chore = (struct chore){.run = run, .completed = on_completed};
	sum->operand = operand;
	sum->gate = gate;
	worker_submit(worker, &sum->chore);
	return sum;
}

static int setup(void **state)
{
	completed = abandoned = right = 0;
	hanging = 0;
	main_thread = pthread_self();
	return setup_loop(state);
}

static void many(void **state)
{
	struct worker *worker = worker_new(&loop);

	for (int i = 0; i < 1000; i++)
		submit(worker, i, -1);
	assert_int_equal(completed, 0); /* not before it returns */
	RUN_UNTIL(completed == 1000);
	assert_int_equal(right, 1000);
	worker_free(worker);
}

/* The loop goes on as long as a chore is under way, and no longer. */
static void keeps_the_loop(void **state)
{
	struct worker *worker = worker_new(&loop);

	ev_run(loop.ev, 0);
	submit(worker, 1, -1);
	ev_run(loop.ev, 0);
	assert_int_equal(completed, 1);
	worker_free(worker);
}

/* One that hangs does not hold up the others. */
static void one_hangs(void **state)
{
	struct worker *worker = worker_new(&loop);
	int gate[2];

	assert_int_equal(pipe(gate), 0);
	submit(worker, 1, gate[0]);
	for (int i = 0; i < 10; i++)
		submit(worker, i, -1);
	RUN_UNTIL(completed == 10);
	close(gate[1]);
	RUN_UNTIL(completed == 11);
	assert_int_equal(right, 11);
	close(gate[0]);
	worker_free(worker);
}

static void abandon(void **state)
{
	struct worker *worker = worker_new(&loop);
	int gate[2];

	assert_int_equal(pipe(gate), 0);
	worker_abandon(&submit(worker, 1, gate[0])->chore);
	close(gate[1]);
	RUN_UNTIL(completed == 1);
	assert_int_equal(abandoned, 1);
	close(gate[0]);
	worker_free(worker);
}

static void freed_with_jobs(void **state)
{
	struct worker *worker = worker_new(&loop);

	for (int i = 0; i < 100; i++)
		submit(worker, i, -1);
	assert_null(worker_free(worker));
	assert_int_equal(completed, 100);
	assert_int_equal(abandoned, 100);
	ev_run(loop.ev, 0); /* nothing is left that would keep it */
}

/* The end of the program does not wait for a lookup that hangs. */
static void freed_while_hanging(void **state)
{
	struct worker *worker = worker_new(&loop);
	struct sum *sums[LIMIT_WORKER_THREADS];
	ev_tstamp start;
	int gate[2];

	assert_int_equal(pipe(gate), 0);
	for (int i = 0; i < LIMIT_WORKER_THREADS; i++)
		sums[i] = submit(worker, i, gate[0]);
	submit(worker, 9, -1);
	RUN_UNTIL(hanging == LIMIT_WORKER_THREADS);
	start = ev_time();
	worker_free(worker);
	assert_true(ev_time() - start >= LIMIT_WORKER_END_SECONDS * 0.9);
	assert_int_equal(completed, 1); /* the one that was only queued */
	assert_int_equal(abandoned, 1);
	assert_int_equal(sums[0]->result, 0);
	ev_run(loop.ev, 0);
	/* The gate stays shut: the threads and their chores end with the process. */
}

static void freed_null(void **state)
{
	assert_null(worker_free(NULL));
	worker_free(worker_new(&loop));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown_loop)
	const struct CMUnitTest tests[] = {
		TEST(many),
		TEST(keeps_the_loop),
		TEST(one_hangs),
		TEST(abandon),
		TEST(freed_with_jobs),
		TEST(freed_while_hanging),
		TEST(freed_null),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
