/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <ev.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "proxy/arguments.h"
#include "proxy/proxy.h"
#include "sync/base/log.h"
#include "sync/base/loop.h"
#include "sync/base/notify.h"
#include "sync/base/worker.h"
#include "sync/base/xalloc.h"
#include "sync/command/control-client.h"
#include "sync/command/control-path.h"
#include "sync/command/control-request.h"
#include "sync/command/control-status.h"
#include "sync/command/control.h"
#include "sync/command/sync.h"
#include "sync/config/account.h"
#include "sync/engine/change.h"
#include "sync/engine/hint.h"
#include "sync/imap/client.h"

struct program {
	struct arguments arguments;
	struct loop loop;
	struct worker *worker;
	struct account *account;
	struct control_client *client; /* of a service, which does it instead of `sync` */
	struct control_client_owner client_owner;
	struct sync_owner sync_owner;
	struct sync *sync;
	struct proxy *proxy;
	struct news_receiver news;
	struct client_counter clients;
	struct engine_change change;
	struct notify *notify; /* the service manager, if there is one */
	ev_signal terminated, interrupted, debug_toggled;
	int status;
};

static unsigned on_count(struct client_counter *counter)
{
	struct program *program = container_of(counter, struct program, clients);

	return program->proxy != NULL ? proxy_client_count(program->proxy) : 0;
}

static void on_answered(struct control_client_owner *owner, bool complete)
{
	struct program *program = container_of(owner, struct program, client_owner);

	program->status = complete ? EXIT_SUCCESS : EXIT_FAILURE;
	loop_stop(&program->loop);
}

static void on_finished(struct sync_owner *owner, bool complete)
{
	struct program *program = container_of(owner, struct program, sync_owner);

	program->status = complete ? EXIT_SUCCESS : EXIT_FAILURE;
	loop_stop(&program->loop);
}

static void on_news(struct news_receiver *receiver, const char *mailbox)
{
	struct program *program = container_of(receiver, struct program, news);

	if (program->proxy != NULL)
		proxy_nudge(program->proxy, mailbox);
}

static void on_terminated(struct ev_loop *ev, ev_signal *watcher, int revents)
{
	struct program *program = container_of(watcher, struct program, terminated);

	log_info(NULL, "stopping");
	notify_stopping(program->notify);
	program->status = EXIT_SUCCESS;
	loop_stop(&program->loop);
}

static void on_interrupted(struct ev_loop *ev, ev_signal *watcher, int revents)
{
	struct program *program = container_of(watcher, struct program, interrupted);

	log_info(NULL, "interrupted");
	notify_stopping(program->notify);
	program->status = program->arguments.proxy ? EXIT_SUCCESS : 128 + SIGINT;
	loop_stop(&program->loop);
}

/* SIGUSR1.  Passwords stay hidden, unless --debug was given twice. */
static void on_debug_toggled(struct ev_loop *ev, ev_signal *watcher, int revents)
{
	log_set_level(log_is_debug() ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG);
	log_notice(NULL, "debugging is %s", log_is_debug() ? "on" : "off");
}

/* False: the log file cannot be written, and was asked for. */
static bool set_up_log(const struct arguments *arguments, const struct account *account)
{
	if (arguments->debug > 0)
		log_set_level(LOG_LEVEL_DEBUG);
	client_show_secrets(arguments->debug > 1);
	log_set_quiet(arguments->quiet);
	log_set_prefix(account->log_prefix);
	if (account->logfile != NULL) {
		int r = log_open_file(account->logfile);

		if (r < 0) {
			log_error(NULL, "cannot open the log file %s: %s", account->logfile,
				strerror(-r));
			return false;
		}
	}
	for (size_t i = 0; account->warnings != NULL && account->warnings[i] != NULL; i++)
		log_warning(NULL, "%s", account->warnings[i]);
	return true;
}

/* A core would hold passwords and mail. */
static void forbid_core(void)
{
	const struct rlimit none = {0};

	(void)setrlimit(RLIMIT_CORE, &none);
}

static enum control_command command_of(const struct arguments *arguments)
{
	if (arguments->status)
		return CONTROL_STATUS;
	if (arguments->delete)
		return CONTROL_DELETE;
	if (arguments->rename)
		return CONTROL_RENAME;
	return arguments->repair ? CONTROL_REPAIR : CONTROL_SYNC;
}

static enum log_level level_of(const struct arguments *arguments)
{
	if (arguments->debug > 0)
		return LOG_LEVEL_DEBUG;
	return arguments->quiet ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
}

/* Asks the service that holds the database.  -ENOENT: there is none. */
static int ask_service(struct program *program)
{
	const struct arguments *arguments = &program->arguments;
	const struct control_request request = {
		.command = command_of(arguments),
		.mailboxes = arguments->mailboxes,
		.allow_deletions = arguments->allow_deletions,
		.local = arguments->local,
		.remote = arguments->remote,
		.database = arguments->database,
		.level = level_of(arguments),
	};
	_cleanup_free_ char *reason = NULL;
	int fd = control_path_connect(program->account->database, &reason);

	if (fd < 0 && reason != NULL)
		log_error(NULL, "%s", reason);
	if (fd < 0)
		return fd;
	program->client_owner.finished = on_answered;
	program->client = control_client_new(
		&program->loop, fd, &request, arguments->json, &program->client_owner);
	return 0;
}

static bool start_engine(struct program *program)
{
	const struct arguments *arguments = &program->arguments;
	const bool lasting = arguments->watch || arguments->notify;
	const struct sync_options options = {
		.mailboxes = arguments->mailboxes,
		.allow_deletions = arguments->allow_deletions,
		.repair = arguments->repair,
		.change = arguments->delete || arguments->rename ? &program->change : NULL,
		.stay = lasting || arguments->proxy,
		.push = arguments->notify || arguments->proxy,
		.follow = arguments->proxy,
		.reconnect = arguments->proxy,
		.create = !lasting || arguments->proxy,
		.interval = arguments->interval,
		.news = arguments->proxy ? &program->news : NULL,
		.clients = arguments->proxy ? &program->clients : NULL,
	};
	_cleanup_free_ char *reason = NULL;

	program->change = (struct engine_change){
		.kind = arguments->delete ? CHANGE_DELETE : CHANGE_RENAME,
		.names = arguments->mailboxes,
		.local = arguments->local,
		.remote = arguments->remote,
		.database = arguments->database,
	};
	program->sync_owner.finished = on_finished;
	program->news.changed = on_news;
	program->clients.count = on_count;
	program->sync = sync_new(&program->loop, program->worker, program->account, &options,
		&program->sync_owner, NULL, &reason);
	if (program->sync != NULL)
		sync_start(program->sync, NULL);
	if (program->sync != NULL && arguments->proxy)
		program->proxy = proxy_new(&program->loop, program->worker, program->account,
			sync_hints(program->sync), sync_actions(program->sync), &reason);
	if (reason != NULL)
		log_error(NULL, "%s", reason);
	return program->sync != NULL && (program->proxy != NULL || !arguments->proxy);
}

/* False: there is nothing to wait for. */
static bool start(struct program *program)
{
	const struct arguments *arguments = &program->arguments;
	int r = -ENOENT;

	if (!arguments->watch && !arguments->notify && !arguments->proxy)
		r = ask_service(program);
	if (r == -ENOENT && arguments->status)
		control_status_print_alone(program->account->database, arguments->json);
	else if (r == -ENOENT)
		return start_engine(program);
	return r == 0;
}

static void say_password(const struct program *program)
{
	if (program->proxy == NULL || proxy_new_password(program->proxy) == NULL)
		return;
	/* Not through the log: the log file would keep it. */
	(void)printf("Mail clients log in with this password, made just now: %s\n"
		     "It is kept in %s.\n",
		proxy_new_password(program->proxy), proxy_password_file(program->proxy));
	(void)fflush(stdout);
}

static void run(struct program *program)
{
	program->status = EXIT_FAILURE;
	ev_signal_init(&program->terminated, on_terminated, SIGTERM);
	ev_signal_init(&program->interrupted, on_interrupted, SIGINT);
	ev_signal_start(program->loop.ev, &program->terminated);
	ev_signal_start(program->loop.ev, &program->interrupted);
	ev_signal_init(&program->debug_toggled, on_debug_toggled, SIGUSR1);
	ev_signal_start(program->loop.ev, &program->debug_toggled);
	if (start(program)) {
		notify_ready(program->notify);
		say_password(program);
		loop_run(&program->loop);
	}
	program->proxy = proxy_free(program->proxy);
	program->sync = sync_free(program->sync);
	program->client = control_client_free(program->client);
	ev_signal_stop(program->loop.ev, &program->terminated);
	ev_signal_stop(program->loop.ev, &program->interrupted);
	ev_signal_stop(program->loop.ev, &program->debug_toggled);
}

int main(int argc, char *argv[])
{
	struct program program = {0};
	char *reason = NULL;

	(void)setlocale(LC_CTYPE, "");
	if (!arguments_parse(&program.arguments, argc, argv))
		return EXIT_FAILURE;
	if (program.arguments.help) {
		arguments_print_help();
		return EXIT_SUCCESS;
	}
	if (program.arguments.version) {
		(void)printf("interimap %s\n", INTERIMAP_VERSION);
		return EXIT_SUCCESS;
	}
	forbid_core();
	(void)signal(SIGPIPE, SIG_IGN);
	if (account_load(program.arguments.config, &program.account, &reason) < 0) {
		log_error(NULL, "%s", reason);
		free(reason);
		return EXIT_FAILURE;
	}
	/* interimap(1): who debugs wants to see what the command says. */
	if (program.arguments.debug > 0)
		program.account->local.null_stderr = program.account->remote.null_stderr = false;
	program.status = EXIT_FAILURE;
	if (set_up_log(&program.arguments, program.account)) {
		loop_init(&program.loop);
		program.notify = notify_new(&program.loop);
		program.worker = worker_new(&program.loop);
		run(&program);
		worker_free(program.worker);
		notify_free(program.notify);
		loop_done(&program.loop);
	}
	log_set_prefix(NULL);
	account_free(program.account);
	log_close_file();
	return program.status;
}
