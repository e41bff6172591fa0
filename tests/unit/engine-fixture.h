/* SPDX-License-Identifier: MIT */
/*
 * For the tests of the engine's rooms: a core with its rooms, a database in memory, and two sides
 * that are connected to servers which say what a test has written down.
 *
 * will() says which command a server expects next, and what it answers.  Commands come in just that
 * order; one that nobody expects fails the test, and so does one that never comes.  What the owner
 * is told is among the events (expect_events() of wire-fixture.h), what a person is told is found by
 * said(), and what the database holds is compared as text.
 *
 * Each test runs a second time with the servers' answers a byte at a time: see BOTH().
 */
#ifndef INTERIMAP_TESTS_ENGINE_FIXTURE_H
#define INTERIMAP_TESTS_ENGINE_FIXTURE_H

#include "wire-fixture.h"

#include <sys/un.h>
#include <utlist.h>

#include "sync/base/worker.h"
#include "sync/config/account.h"
#include "sync/core/core.h"
#include "sync/core/items.h"
#include "sync/core/news.h"
#include "sync/deeds/journal.h"
#include "sync/deeds/suspects.h"
#include "sync/imap/client.h"
#include "sync/imap/flags.h"
#include "sync/carry/moves-wait.h"
#include "sync/pass/pass.h"
#include "sync/state/actions.h"
#include "sync/state/echoes.h"
#include "sync/state/intents.h"
#include "sync/state/mapping.h"
#include "sync/tree/tree.h"

#define CAPABILITIES "IMAP4rev1 LITERAL+ ENABLE QRESYNC UIDPLUS LIST-EXTENDED LIST-STATUS UNSELECT"

/* Instead of an answer. */
#define NO_ANSWER "" /* yet: see answer() */
#define HANG_UP "\a"

/* --- Lines of answers --- */

#define UNTAGGED(text) "* " text "\n"
#define OK "OK done"
#define SELECTED(uidvalidity, uidnext, modseq, exists) \
	UNTAGGED(#exists " EXISTS") \
	UNTAGGED("OK [UIDVALIDITY " #uidvalidity "] so") \
	UNTAGGED("OK [UIDNEXT " #uidnext "] so") \
	UNTAGGED("OK [HIGHESTMODSEQ " #modseq "] so") OK
/* All that is asked for of a message; `id` is all that tells it from others. */
#define MESSAGE(uid, id, flags) MESSAGE_OF(uid, id, flags, 100)
#define MESSAGE_OF(uid, id, flags, size) \
	UNTAGGED(#uid " FETCH (UID " #uid " FLAGS (" flags ") INTERNALDATE " \
		      "\"01-Jan-2020 00:00:00 +0000\" RFC822.SIZE " #size " " \
		      "BODY[HEADER.FIELDS (MESSAGE-ID)] \"Message-ID: <" #id ">\")")

/* Of such a message. */
static inline struct identity identity_of(const char *id)
{
	_cleanup_free_ char *header = xasprintf("Message-ID: <%s>", id);
	const struct response response = {
		.type = RESPONSE_FETCH,
		.fetch = {.items = FETCH_UID | FETCH_SIZE | FETCH_INTERNALDATE | FETCH_HEADER,
			.size = 100,
			.date = 1577836800,
			.header = {.data = header, .len = strlen(header)}},
	};
	struct identity identity;

	assert_true(identity_from_fetch(&response, &identity));
	return identity;
}

/* --- The servers --- */

enum { LOCAL, REMOTE };

/* What a server expects, and answers. */
struct line {
	struct line *prev, *next; /* utlist */
	char *command, *answer;
};

struct server {
	const char *name;
	char path[64];
	int listener, fd;
	ev_io accepts, reads;
	ev_idle writes;
	struct buf in, out;
	struct line *script;
	char *held; /* the tag of a command that was not answered */
	bool hangs_up; /* when all is said */
};

static struct server servers[2];

static struct core core;
static struct task task; /* the engine's, of these tests: it does nothing */
static unsigned turns_taken; /* by it */
static struct barrier barrier;
static struct journal journal;
static struct suspects suspects;
static struct tree tree;
static struct runs runs;
static struct worker *worker;
static struct core_options options;
static struct session_options session_options[2];
static struct account account;
static const char *offers = CAPABILITIES; /* both servers */
static const char *capabilities[2]; /* of each, beside those; or NULL */
static bool looks_soon; /* what the owner says */
static char *log_text; /* all that a person was told */
static struct log_tap tap;

static inline void will(int side, const char *command, const char *answer)
{
	struct line *line = xcalloc(1, sizeof(*line));

	line->command = xstrdup(command);
	line->answer = xstrdup(answer);
	DL_APPEND(servers[side].script, line);
}

/* A star stands for anything. */
static inline bool fits(const char *pattern, const char *text)
{
	for (; *pattern != '*'; pattern++, text++) {
		if (*pattern != *text)
			return false;
		if (*pattern == '\0')
			return true;
	}
	while (!fits(pattern + 1, text))
		if (*text++ == '\0')
			return false;
	return true;
}

static inline void free_line(struct server *server, struct line *line)
{
	DL_DELETE(server->script, line);
	free(line->command);
	free(line->answer);
	free(line);
}

/* The tagged line is the one without a star; what comes behind a bar goes out as it is. */
static inline void say_lines(struct server *server, const char *tag, const char *lines)
{
	for (const char *line = lines; *line != '\0';) {
		size_t len = strcspn(line, "\n");
		bool tagged = *line != '*' && *line != '|', raw = *line == '|';

		assert_true(buf_printf(&server->out, "%s%s%.*s\r\n", tagged ? tag : "",
			tagged ? " " : "", (int)len - raw, line + raw));
		line += line[len] == '\n' ? len + 1 : len;
	}
	ev_idle_start(loop.ev, &server->writes);
}

/* The answer that a command was not given before. */
static inline void answer(int side, const char *lines)
{
	_cleanup_free_ char *tag = take(servers[side].held);

	assert_non_null(tag);
	say_lines(&servers[side], tag, lines);
}

static inline void take_command(struct server *server, const char *tag, const char *text)
{
	struct line *line = server->script;

	/* The way from one mailbox to another is of no interest, unless it is expected. */
	if ((line == NULL || !fits(line->command, text)) && strcmp(text, "UNSELECT") == 0) {
		say_lines(server, tag, OK);
		return;
	}
	if (line == NULL)
		fail_msg("%s: nothing is expected any more, and this came: %s", server->name, text);
	if (!fits(line->command, text))
		fail_msg("%s: expected: %s\ncame: %s", server->name, line->command, text);
	if (strcmp(line->answer, HANG_UP) == 0)
		server->hangs_up = true;
	else if (line->answer[0] == '\0')
		server->held = xstrdup(tag);
	else
		say_lines(server, tag, line->answer);
	if (server->hangs_up)
		ev_idle_start(loop.ev, &server->writes);
	free_line(server, line);
}

/* Bytes of the next command with its literals; 0: it has not come to its end. */
static inline size_t command_length(const struct buf *in)
{
	const char *data = buf_data(in), *end = data + buf_len(in), *from = data;

	for (;;) {
		const char *line_end = memmem(from, (size_t)(end - from), "\r\n", 2);
		const char *open;
		size_t literal = 0;

		if (line_end == NULL)
			return 0;
		open = memrchr(data, '{', (size_t)(line_end - data));
		if (line_end[-1] != '}' || open == NULL)
			return (size_t)(line_end + 2 - data);
		literal = strtoul(open + 1, NULL, 10);
		if ((size_t)(end - line_end) < literal + 2)
			return 0;
		from = line_end + 2 + literal;
	}
}

static inline void on_said(struct ev_loop *ev, ev_io *watcher, int revents)
{
	struct server *server = container_of(watcher, struct server, reads);
	char data[WIRE_READ];
	ssize_t n = recv(server->fd, data, sizeof(data), 0);
	size_t len;

	if (n <= 0)
		ev_io_stop(ev, watcher);
	if (n > 0)
		assert_true(buf_append(&server->in, data, (size_t)n));
	while ((len = command_length(&server->in)) > 0) {
		_cleanup_free_ char *text = xmemdup0(buf_data(&server->in), len - 2);
		char *command = strchr(text, ' ');

		buf_consume(&server->in, len);
		assert_non_null(command);
		*command++ = '\0';
		take_command(server, text, command);
	}
}

static inline void on_may_say(struct ev_loop *ev, ev_idle *watcher, int revents)
{
	struct server *server = container_of(watcher, struct server, writes);
	ssize_t n = 0;

	if (buf_len(&server->out) > 0)
		n = send(server->fd, buf_data(&server->out), wire.slow ? 1 : buf_len(&server->out),
			MSG_NOSIGNAL);
	if (n > 0)
		buf_consume(&server->out, (size_t)n);
	if (buf_len(&server->out) > 0)
		return;
	ev_idle_stop(ev, watcher);
	if (!server->hangs_up || server->fd < 0)
		return;
	ev_io_stop(ev, &server->reads);
	(void)close(server->fd);
	server->fd = -1;
}

/* What was just noted is looked at now, and not when the next event comes. */
static inline void look_now(void)
{
	ev_idle_start(loop.ev, &servers[LOCAL].writes);
}

static inline void on_called(struct ev_loop *ev, ev_io *watcher, int revents)
{
	struct server *server = container_of(watcher, struct server, accepts);
	const char *more = capabilities[server - servers];

	server->fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(server->fd >= 0);
	ev_io_init(&server->reads, on_said, server->fd, EV_READ);
	ev_io_start(ev, &server->reads);
	assert_true(buf_printf(&server->out, "* PREAUTH [CAPABILITY %s %s] hello\r\n", offers,
		more != NULL ? more : ""));
	ev_idle_start(ev, &server->writes);
}

static inline void server_start(struct server *server, const char *name)
{
	static unsigned number;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*server = (struct server){.name = name, .fd = -1};
	(void)snprintf(server->path, sizeof(server->path), "/tmp/interimap-engine-%d-%u",
		(int)getpid(), number++);
	strcpy(address.sun_path, server->path);
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->listener, 5), 0);
	buf_init(&server->in, WIRE_BYTES);
	buf_init(&server->out, WIRE_BYTES);
	ev_io_init(&server->accepts, on_called, server->listener, EV_READ);
	ev_io_start(loop.ev, &server->accepts);
	ev_idle_init(&server->writes, on_may_say);
}

static inline void server_stop(struct server *server)
{
	ev_io_stop(loop.ev, &server->accepts);
	ev_idle_stop(loop.ev, &server->writes);
	if (server->fd >= 0) {
		ev_io_stop(loop.ev, &server->reads);
		(void)close(server->fd);
	}
	(void)close(server->listener);
	(void)unlink(server->path);
	while (server->script != NULL)
		free_line(server, server->script);
	free(server->held);
	buf_done(&server->in);
	buf_done(&server->out);
}

/* All that was expected has come. */
static inline bool has_all_come(void)
{
	for (int side = LOCAL; side <= REMOTE; side++)
		if (servers[side].script != NULL)
			print_error("%s: never came: %s\n", servers[side].name,
				servers[side].script->command);
	return servers[LOCAL].script == NULL && servers[REMOTE].script == NULL;
}

/* --- The owner, and a person --- */

static inline void on_side_ready(struct core *core_, struct side *side)
{
	note("ready:%s", side->name);
}

static inline void on_side_lost(
	struct core *core_, struct side *side, enum session_failure failure, const char *reason)
{
	note("lost:%s", side->name);
}

static inline void on_side_told(struct core *core_, struct side *side, struct response *response)
{
	note("told:%s", side->name);
}

static inline void on_listed_line(
	struct core *core_, struct side *side, const struct response_list *line)
{
	note("listed:%s:%.*s", side->name, (int)line->name.len, line->name.data);
}

static inline void on_accused(struct core *core_, const struct suspect *suspect)
{
	note("accused:%d:%s", (int)suspect->kind, suspect->remote ? "remote" : "local");
}

static inline void on_failed(struct core *core_, const char *reason)
{
	note("failed:%s", reason != NULL ? reason : "database");
}

static inline void on_look_in(struct core *core_, double seconds)
{
	note("look:%g", seconds);
}

static inline bool on_looks_soon(const struct core *core_)
{
	return looks_soon;
}

static inline void on_has_room(struct core *core_)
{
	note("room");
}

static const struct core_owner core_owner = {
	.side_ready = on_side_ready,
	.side_lost = on_side_lost,
	.side_told = on_side_told,
	.listed = on_listed_line,
	.accused = on_accused,
	.failed = on_failed,
	.look_in = on_look_in,
	.looks_soon = on_looks_soon,
	.has_room = on_has_room,
};

static inline void on_changed(struct news_receiver *receiver, const char *mailbox)
{
	note("news:%s", mailbox);
}

static struct news_receiver news = {.changed = on_changed};

static inline void on_line(struct log_tap *tap_, enum log_level level,
	const struct log_context *context, const char *line)
{
	char *more = xasprintf("%s%s\n", log_text, line);

	free(log_text);
	log_text = more;
}

/* A person was told this; what else the line says does not matter. */
static inline bool said(const char *words)
{
	return strstr(log_text, words) != NULL;
}

static inline enum step on_turn(struct task *task_)
{
	turns_taken++;
	look_now();
	return STEP_WAIT;
}

/* --- Runs, as the engine begins and ends them --- */

static inline void on_run_over(struct run *run, enum run_end end, const char *reason)
{
	moves_wait_leave(run);
	DL_DELETE(runs.list, run);
	runs.count--;
	run->mailbox->runs.turn = TURN_NONE;
	if (end == RUN_FAILED && reason != NULL)
		log_error(RUN_CONTEXT(run), "%s", reason);
	note("%s:%s",
		end == RUN_FAILED || end == RUN_BROKEN ? "stopped"
		: end == RUN_LOST		       ? "cut"
						       : "done",
		run->mailbox->display);
	look_now();
}

static inline struct run *begin_run(struct mailbox *mailbox)
{
	struct run *run = run_new(&core, mailbox, on_run_over);

	mailbox->runs.turn = TURN_RUNNING;
	DL_APPEND(runs.list, run);
	runs.count++;
	return run;
}

/* For a test that calls by itself what a run consists of. */
static inline struct run *still_run(struct mailbox *mailbox)
{
	struct run *run = begin_run(mailbox);

	run->task.step = on_turn;
	return run;
}

/* All that it has asked is answered. */
static inline void run_answered(struct run *run)
{
	RUN_UNTIL(run->barrier.waiting == 0);
}

static inline void end_run(struct run *run)
{
	moves_wait_leave(run);
	DL_DELETE(runs.list, run);
	runs.count--;
	run_abandon(run);
}

/* --- Before and after --- */

/* The sides are not connected yet. */
static inline int set_up_engine(bool slow)
{
	char *reason = NULL;

	loop_init(&loop);
	wire_init(slow);
	worker = worker_new(&loop);
	server_start(&servers[LOCAL], "local");
	server_start(&servers[REMOTE], "remote");
	log_text = xstrdup("");
	tap = (struct log_tap){.level = LOG_LEVEL_INFO, .line = on_line};
	log_set_quiet(true);
	log_add_tap(&tap);
	for (int side = LOCAL; side <= REMOTE; side++)
		session_options[side] = (struct session_options){.name = servers[side].name,
			.dial.unix_path = servers[side].path,
			.enable_qresync = true};
	account = (struct account){
		.database_name = "database",
		.max_deletions.off = true,
		.local = {.name = "local", .list_reference = ""},
		.remote = {.name = "remote", .list_reference = ""},
	};
	options = (struct core_options){
		.account = &account,
		.local = &session_options[LOCAL],
		.remote = &session_options[REMOTE],
		.news = &news,
	};
	if (db_open(":memory:", true, &options.db, &reason) < 0)
		fail_msg("%s", reason);
	assert_int_equal(db_prepare_schema(options.db, '/', '/'), 0);
	offers = CAPABILITIES;
	capabilities[LOCAL] = capabilities[REMOTE] = NULL;
	looks_soon = false;
	turns_taken = 0;
	task_init(&task, &loop, on_turn, NULL);
	barrier_init(&barrier, &task);
	core_init(&core, &loop, worker, &task, &options, &core_owner);
	core.local.delimiter = core.remote.delimiter = '/';
	journal_init(&journal, &core);
	suspects_init(&suspects, &core);
	tree_init(&tree, &core, &barrier);
	runs_init(&runs, &core);
	assert_int_equal(journal_load(&journal), 0);
	return 0;
}

static inline int setup(void **state)
{
	return set_up_engine(false);
}

static inline int setup_slow(void **state)
{
	return set_up_engine(true);
}

static inline int teardown(void **state)
{
	bool complete = has_all_come();

	side_disconnect(&core.local);
	side_disconnect(&core.remote);
	while (runs.list != NULL) /* of a test that failed */
		end_run(runs.list);
	task_cancel(&task);
	runs_done(&runs);
	tree_done(&tree);
	suspects_done(&suspects);
	journal_done(&journal);
	core_done(&core);
	barrier_done(&barrier);
	options.db = db_close(options.db);
	server_stop(&servers[LOCAL]);
	server_stop(&servers[REMOTE]);
	log_remove_tap(&tap);
	log_set_quiet(false);
	free(log_text);
	worker_free(worker);
	wire_done();
	loop_done(&loop);
	return complete ? 0 : -1;
}

/* Both sides are ready, and have nothing to do. */
static inline void connect_sides(void)
{
	will(LOCAL, "ENABLE QRESYNC", UNTAGGED("ENABLED QRESYNC") OK);
	will(REMOTE, "ENABLE QRESYNC", UNTAGGED("ENABLED QRESYNC") OK);
	side_connect(&core.local);
	side_connect(&core.remote);
	RUN_UNTIL(core.local.ready && core.remote.ready && servers[LOCAL].script == NULL &&
		  servers[REMOTE].script == NULL && client_is_idle(side_client(&core.local)) &&
		  client_is_idle(side_client(&core.remote)));
	buf_clear(&wire.events);
}

/* Nothing happened that the owner is told of. */
static inline void expect_no_events(void)
{
	_cleanup_free_ char *events = NULL;

	run_ready();
	events = xmemdup0(buf_data(&wire.events), buf_len(&wire.events));
	assert_string_equal(events, "");
}

#define BOTH(test) \
	cmocka_unit_test_setup_teardown(test, setup, teardown), \
	{ \
#test " (a byte at a time)", test, setup_slow, teardown, NULL \
	}

/* --- Mailboxes and what the database holds of them --- */

/* Slashes are for NULs. */
static inline struct mailbox_name name_of(const char *text)
{
	struct mailbox_name name = {.data = xstrdup(text), .len = strlen(text)};

	for (size_t i = 0; i < name.len; i++)
		if (name.data[i] == '/')
			name.data[i] = '\0';
	return name;
}

static inline struct mailbox *find_mailbox(const char *text)
{
	struct mailbox_name name = name_of(text);
	struct mailbox *mailbox = core_find_mailbox(&core, name.data, name.len);

	free(name.data);
	return mailbox;
}

/* Known, subscribed and listed; both sides have UIDVALIDITY 7, and are replicated up to UIDNEXT and
 * mod-sequence 50. */
static inline struct mailbox *add_mailbox(const char *text)
{
	const struct mailbox_state state = {.uidvalidity = 7, .uidnext = 50, .highestmodseq = 50};
	struct mailbox_name name = name_of(text);
	struct mailbox *mailbox;

	assert_int_equal(core_add_mailbox(&core, name.data, name.len, true), 0);
	mailbox = core_find_mailbox(&core, name.data, name.len);
	free(name.data);
	assert_int_equal(mailboxes_set_state(core.db, mailbox->idx, false, &state), 0);
	assert_int_equal(mailboxes_set_state(core.db, mailbox->idx, true, &state), 0);
	mailbox->local.base = mailbox->remote.base = state;
	mailbox->presence.listed = true;
	return mailbox;
}

static inline void set_uidnext(struct mailbox *mailbox, bool remote, uint32_t uidnext)
{
	struct mailbox_state *base = &mailbox_side(mailbox, remote)->base;

	base->uidnext = uidnext;
	assert_int_equal(mailboxes_set_state(core.db, mailbox->idx, remote, base), 0);
}

static inline void add_pair(const struct mailbox *mailbox, uint32_t local, uint32_t remote)
{
	assert_int_equal(mapping_insert(core.db, mailbox->idx,
				 (struct uid_pair){.local = local, .remote = remote}),
		0);
}

/* "1=101 2=102": local and remote UIDs. */
static inline void assert_pairs(const struct mailbox *mailbox, const char *expected)
{
	_cleanup_free_ struct uid_pair *pairs = NULL;
	_cleanup_free_ char *text = NULL;
	size_t count = 0;
	struct buf out;

	assert_int_equal(
		mapping_in_range(core.db, mailbox->idx, false, 1, UINT32_MAX, &pairs, &count), 0);
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < count; i++)
		(void)buf_printf(
			&out, "%s%u=%u", i > 0 ? " " : "", pairs[i].local, pairs[i].remote);
	text = buf_steal(&out);
	assert_string_equal(text, expected);
}

/* ">11 <12": by the UID of the source; ">": on their way to the remote side. */
static inline void assert_intent_list(
	const struct intent *intents, size_t count, const char *expected)
{
	_cleanup_free_ char *text = NULL;
	struct buf out;

	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < count; i++)
		(void)buf_printf(&out, "%s%c%u", i > 0 ? " " : "", intents[i].to_remote ? '>' : '<',
			intents[i].source_uid);
	text = buf_steal(&out);
	assert_string_equal(text, expected);
}

/* Messages in doubt. */
static inline void assert_intents(const struct mailbox *mailbox, const char *expected)
{
	_cleanup_free_ struct intent *intents = NULL;
	size_t count = 0;

	assert_int_equal(intents_load(core.db, mailbox->idx, &intents, &count), 0);
	assert_intent_list(intents, count, expected);
}

/* "local 1=101 remote 102=2": what is being expunged, and its pair. */
static inline void assert_echoes(const struct mailbox *mailbox, const char *expected)
{
	_cleanup_free_ struct echo *echoes = NULL;
	_cleanup_free_ char *text = NULL;
	size_t count = 0;
	struct buf out;

	assert_int_equal(echoes_load(core.db, mailbox->idx, &echoes, &count), 0);
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < count; i++)
		(void)buf_printf(&out, "%s%s %u=%u", i > 0 ? " " : "",
			echoes[i].remote ? "remote" : "local", echoes[i].uid, echoes[i].other_uid);
	text = buf_steal(&out);
	assert_string_equal(text, expected);
}

/* "MOVE a b 1:2 11:12", one a line: what waits to be done on the other side. */
static inline void assert_deeds(const char *expected)
{
	struct action *actions = NULL;
	_cleanup_free_ char *text = NULL;
	size_t count = 0;
	struct buf out;

	assert_int_equal(actions_load(core.db, &actions, &count), 0);
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < count; i++) {
		_cleanup_free_ char *source = NULL, *target = NULL;

		assert_int_equal(actions_load_uids(core.db, actions[i].id, &source, &target), 0);
		(void)buf_printf(&out, "%s%s %s", i > 0 ? "\n" : "", actions[i].verb,
			actions[i].mailbox != NULL ? actions[i].mailbox : "-");
		if (actions[i].target != NULL)
			(void)buf_printf(&out, " %s", actions[i].target);
		if (source != NULL && target != NULL)
			(void)buf_printf(&out, " %s %s", source, target);
	}
	actions_free(actions, count);
	text = buf_steal(&out);
	assert_string_equal(text, expected);
}

#endif
