/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <ev.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/accounts.h"
#include "proxy/arguments.h"
#include "proxy/configuration.h"
#include "proxy/inherited.h"
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
#include "sync/config/account.h"
#include "sync/core/news.h"
#include "sync/engine/hint.h"
#include "sync/imap/client.h"

struct program {
	struct arguments arguments;
	struct inherited inherited; /* from the service manager, if there is one */
	struct notify *notify; /* likewise */
	struct loop loop;
	struct worker *worker;
	struct configuration configuration;
	struct accounts *accounts;
	struct accounts_owner owner;
	struct proxy *proxy;
	struct news_receiver news;
	struct client_counter clients;
	struct control_client *client; /* of a service, which does it instead of the accounts */
	struct control_client_owner client_owner;
	ev_signal terminated, interrupted, hung_up, debug_toggled;
	bool is_terminal[STDERR_FILENO + 1]; /* of standard input, output and error */
	ev_prepare tell_status;
	uint64_t stamp; /* of the status that was told */
	bool outdated; /* the configuration was changed to what cannot be */
	int status;
};

static void on_finished(struct accounts_owner *owner, bool complete)
{
	struct program *program = container_of(owner, struct program, owner);

	program->status = complete ? EXIT_SUCCESS : EXIT_FAILURE;
	loop_stop(&program->loop);
}

static void on_news(struct news_receiver *receiver, const char *mailbox)
{
	struct program *program = container_of(receiver, struct program, news);

	if (program->proxy != NULL)
		proxy_nudge(program->proxy, mailbox);
}

static unsigned on_count(struct client_counter *counter)
{
	struct program *program = container_of(counter, struct program, clients);

	return program->proxy != NULL ? proxy_client_count(program->proxy) : 0;
}

/* --- Taking over a configuration --- */

static bool serve(
	struct program *program, const struct configuration *configuration, char **ret_reason)
{
	const struct proxy_options options = {
		.loop = &program->loop,
		.worker = program->worker,
		.inherited = &program->inherited,
		.receiver = accounts_hints(program->accounts),
		.actions = accounts_actions(program->accounts),
	};

	if (!program->arguments.proxy)
		return true;
	if (program->proxy != NULL)
		return proxy_change(program->proxy, configuration->accounts[0], ret_reason);
	program->proxy = proxy_new(&options, configuration->accounts[0], ret_reason);
	return program->proxy != NULL;
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

/* All that can fail comes first; if it does, everything is as it was. */
static bool take_over(
	struct program *program, const struct configuration *configuration, char **ret_reason)
{
	if (!accounts_prepare(program->accounts, configuration, ret_reason))
		return false;
	if (!serve(program, configuration, ret_reason)) {
		accounts_drop(program->accounts);
		return false;
	}
	say_password(program);
	accounts_start(program->accounts);
	return true;
}

/* The files are read again.  False: they cannot be used, and nothing has changed. */
static bool reload(struct program *program, char **ret_reason)
{
	struct configuration next;
	char *ignored = NULL;

	if (!configuration_load(&program->arguments, &next, ret_reason))
		return false;
	if (configuration_set_log(&next, ret_reason)) {
		configuration_say_warnings(&next);
		if (take_over(program, &next, ret_reason)) {
			configuration_done(&program->configuration);
			program->configuration = next;
			return true;
		}
		(void)configuration_set_log(&program->configuration, &ignored);
		free(ignored);
	}
	configuration_done(&next);
	return false;
}

/* --- Signals, and what the service manager is told --- */

static void stop(struct program *program, int status, const char *why)
{
	log_info(NULL, "%s", why);
	notify_stopping(program->notify);
	program->status = status;
	loop_stop(&program->loop);
}

static void on_terminated(struct ev_loop *ev, ev_signal *watcher, int revents)
{
	stop(container_of(watcher, struct program, terminated), EXIT_SUCCESS, "stopping");
}

static void on_interrupted(struct ev_loop *ev, ev_signal *watcher, int revents)
{
	struct program *program = container_of(watcher, struct program, interrupted);

	stop(program, program->arguments.proxy ? EXIT_SUCCESS : 128 + SIGINT, "interrupted");
}

static bool is_terminal_gone(const struct program *program)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (program->is_terminal[fd] && !isatty(fd))
			return true;
	return false;
}

/* SIGHUP to a service; or what it is named after, to a program that was started from a terminal. */
static void on_hung_up(struct ev_loop *ev, ev_signal *watcher, int revents)
{
	struct program *program = container_of(watcher, struct program, hung_up);
	_cleanup_free_ char *reason = NULL;

	if (is_terminal_gone(program)) {
		stop(program, EXIT_SUCCESS, "the terminal is gone: stopping");
		return;
	}
	notify_reloading(program->notify);
	program->outdated = !reload(program, &reason);
	program->stamp = 0;
	if (program->outdated)
		log_error(NULL, "%s: nothing has changed, correct that and send SIGHUP again",
			reason);
	else
		log_notice(NULL, "the configuration was read again");
	notify_ready(program->notify);
}

/* SIGUSR1.  Passwords stay hidden, unless --debug was given twice. */
static void on_debug_toggled(struct ev_loop *ev, ev_signal *watcher, int revents)
{
	/* Not log_is_debug(): that is also true for a command's sake. */
	bool on = log_get_level() < LOG_LEVEL_DEBUG;

	log_set_level(on ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	log_notice(NULL, "debugging is %s", on ? "on" : "off");
}

/* In each turn of the loop, which costs next to nothing if there is nothing new. */
static void on_tell_status(struct ev_loop *ev, ev_prepare *watcher, int revents)
{
	struct program *program = container_of(watcher, struct program, tell_status);
	uint64_t stamp = accounts_summary_stamp(program->accounts);
	_cleanup_free_ char *summary = NULL, *sentence = NULL;

	if (stamp == program->stamp)
		return;
	program->stamp = stamp;
	summary = accounts_summary(program->accounts);
	sentence = xasprintf("%s%s", summary,
		program->outdated ? "; the configuration files cannot be used, see the log" : "");
	notify_status(program->notify, sentence);
}

static bool stays(const struct program *program)
{
	const struct arguments *arguments = &program->arguments;

	return arguments->proxy || arguments->watch || arguments->notify;
}

static void start_watchers(struct program *program)
{
	struct ev_loop *ev = program->loop.ev;

	ev_signal_init(&program->terminated, on_terminated, SIGTERM);
	ev_signal_init(&program->interrupted, on_interrupted, SIGINT);
	ev_signal_init(&program->hung_up, on_hung_up, SIGHUP);
	ev_signal_init(&program->debug_toggled, on_debug_toggled, SIGUSR1);
	ev_prepare_init(&program->tell_status, on_tell_status);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		program->is_terminal[fd] = isatty(fd);
	ev_signal_start(ev, &program->terminated);
	ev_signal_start(ev, &program->interrupted);
	ev_signal_start(ev, &program->debug_toggled);
	if (!stays(program))
		return;
	ev_signal_start(ev, &program->hung_up);
	if (notify_is_heard(program->notify))
		ev_prepare_start(ev, &program->tell_status);
}

static void stop_watchers(struct program *program)
{
	struct ev_loop *ev = program->loop.ev;

	ev_signal_stop(ev, &program->terminated);
	ev_signal_stop(ev, &program->interrupted);
	ev_signal_stop(ev, &program->debug_toggled);
	ev_signal_stop(ev, &program->hung_up);
	ev_prepare_stop(ev, &program->tell_status);
}

/* --- Asking a service --- */

static void on_answered(struct control_client_owner *owner, bool complete)
{
	struct program *program = container_of(owner, struct program, client_owner);

	program->status = complete ? EXIT_SUCCESS : EXIT_FAILURE;
	loop_stop(&program->loop);
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
		.job = arguments->job,
		.level = level_of(arguments),
	};
	_cleanup_free_ char *reason = NULL;
	int fd = control_path_connect(program->configuration.accounts[0]->database, &reason);

	if (fd < 0 && reason != NULL)
		log_error(NULL, "%s", reason);
	if (fd < 0)
		return fd;
	program->client_owner.finished = on_answered;
	program->client = control_client_new(
		&program->loop, fd, &request, arguments->json, &program->client_owner);
	return 0;
}

/* --- The program --- */

/* A core would hold passwords and mail. */
static void forbid_core(void)
{
	const struct rlimit none = {0};

	(void)setrlimit(RLIMIT_CORE, &none);
}

static bool begin(struct program *program)
{
	const struct accounts_options options = {
		.loop = &program->loop,
		.worker = program->worker,
		.arguments = &program->arguments,
		.news = program->arguments.proxy ? &program->news : NULL,
		.clients = program->arguments.proxy ? &program->clients : NULL,
		.owner = &program->owner,
	};
	_cleanup_free_ char *reason = NULL;

	program->owner.finished = on_finished;
	program->news.changed = on_news;
	program->clients.count = on_count;
	program->accounts = accounts_new(&options, program->configuration.count);
	if (take_over(program, &program->configuration, &reason)) {
		notify_ready(program->notify);
		return true;
	}
	log_error(NULL, "%s", reason);
	return false;
}

/* False: there is nothing to wait for. */
static bool begin_or_ask(struct program *program)
{
	const struct arguments *arguments = &program->arguments;
	int r = stays(program) ? -ENOENT : ask_service(program);

	if (r == -ENOENT && arguments->job.kind == JOB_STATUS)
		control_status_print_alone(
			program->configuration.accounts[0]->database, arguments->json);
	else if (r == -ENOENT)
		return begin(program);
	return r == 0;
}

static void run(struct program *program)
{
	start_watchers(program);
	if (begin_or_ask(program))
		loop_run(&program->loop);
	program->proxy = proxy_free(program->proxy);
	program->accounts = accounts_free(program->accounts);
	program->client = control_client_free(program->client);
	stop_watchers(program);
}

static void set_up_log(const struct arguments *arguments)
{
	if (arguments->debug > 0)
		log_set_level(LOG_LEVEL_DEBUG);
	client_show_secrets(arguments->debug > 1);
	log_set_quiet(arguments->quiet);
}

static int start(struct program *program)
{
	_cleanup_free_ char *reason = NULL;

	program->status = EXIT_FAILURE;
	if (!configuration_load(&program->arguments, &program->configuration, &reason)) {
		log_error(NULL, "%s", reason);
		if (program->arguments.config_count == 0 && !account_has_default())
			arguments_say_first_steps();
		return EXIT_FAILURE;
	}
	set_up_log(&program->arguments);
	if (configuration_set_log(&program->configuration, &reason)) {
		configuration_say_warnings(&program->configuration);
		loop_init(&program->loop);
		program->notify = notify_new(&program->loop);
		program->worker = worker_new(&program->loop);
		run(program);
		worker_free(program->worker);
		notify_free(program->notify);
		loop_done(&program->loop);
	} else {
		log_error(NULL, "%s", reason);
	}
	log_set_prefix(NULL);
	configuration_done(&program->configuration);
	log_close_file();
	return program->status;
}

int main(int argc, char *argv[])
{
	struct program program = {0};
	int status;

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
	(void)signal(SIGXFSZ, SIG_IGN); /* a write that fails is enough to know */
	inherited_take(&program.inherited);
	status = start(&program);
	inherited_done(&program.inherited);
	return status;
}
