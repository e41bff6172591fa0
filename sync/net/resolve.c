/* SPDX-License-Identifier: MIT */
#include "sync/net/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sync/base/limits.h"
#include "sync/base/loop.h"
#include "sync/base/worker.h"
#include "sync/base/xalloc.h"
#include "sync/net/reason.h"

struct resolve {
	struct chore chore; /* with a thread until `done` */
	bool done;
	struct task *waiter;
	char *host; /* NULL: loopback */
	char port[sizeof("65535")];
	int flags;
	int error, system_error; /* of getaddrinfo() */
	struct addrinfo *list;
	char *reason;
};

static void look_up(struct resolve *resolve)
{
	const struct addrinfo hints = {
		.ai_flags = resolve->flags | AI_NUMERICSERV,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};

	resolve->error = getaddrinfo(resolve->host, resolve->port, &hints, &resolve->list);
	resolve->system_error = errno;
}

static void run(struct chore *chore)
{
	look_up(container_of(chore, struct resolve, chore));
}

static void release(struct resolve *resolve)
{
	if (resolve->list != NULL)
		freeaddrinfo(resolve->list);
	free(resolve->reason);
	free(resolve->host);
	free(resolve);
}

static void finish(struct resolve *resolve)
{
	if (resolve->error == EAI_SYSTEM)
		resolve->reason = reason_errno(-resolve->system_error);
	else if (resolve->error != 0)
		resolve->reason = xstrdup(gai_strerror(resolve->error));
	resolve->done = true;
	task_wake(resolve->waiter);
}

static void completed(struct chore *chore)
{
	struct resolve *resolve = container_of(chore, struct resolve, chore);

	if (chore->abandoned)
		release(resolve);
	else
		finish(resolve);
}

bool resolve_is_literal(const char *host)
{
	unsigned char address[sizeof(struct in_addr)];

	/* A colon, since there may be a zone, which inet_pton() does not know: fe80::1%eth0 */
	return host[0] == '[' || strchr(host, ':') != NULL ||
	       inet_pton(AF_INET, host, address) == 1;
}

/* Whether no name service is needed; then arranges to do without. */
static bool is_local_matter(struct resolve *resolve)
{
	char *host = resolve->host;
	size_t n = strlen(host);

	if (resolve_is_literal(host)) {
		resolve->flags = AI_NUMERICHOST;
		if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
			memmove(host, host + 1, n - 2);
			host[n - 2] = '\0';
		}
		return true;
	}
	if (strcasecmp(host, "localhost") == 0 || strcasecmp(host, "localhost.") == 0) {
		free(take(resolve->host)); /* to getaddrinfo() no name means ::1 and 127.0.0.1 */
		return true;
	}
	return false;
}

struct resolve *resolve_start(
	struct worker *worker, const char *host, unsigned port, struct task *waiter)
{
	struct resolve *resolve = xcalloc(1, sizeof(*resolve));

	resolve->chore = (struct chore){.run = run, .completed = completed};
	resolve->waiter = waiter;
	resolve->host = xstrdup(host);
	(void)snprintf(resolve->port, sizeof(resolve->port), "%u", port & 0xffff);
	if (is_local_matter(resolve)) {
		look_up(resolve);
		finish(resolve);
	} else {
		/* Not AI_ADDRCONFIG: offline it hides names that /etc/hosts maps to loopback. */
		resolve->flags = AI_IDN;
		worker_submit(worker, &resolve->chore);
	}
	return resolve;
}

bool resolve_is_done(const struct resolve *resolve)
{
	return resolve->done;
}

const struct addrinfo *resolve_list(const struct resolve *resolve)
{
	return resolve->done ? resolve->list : NULL;
}

const char *resolve_reason(const struct resolve *resolve)
{
	return resolve->reason;
}

struct resolve *resolve_free(struct resolve *resolve)
{
	if (resolve == NULL)
		return NULL;
	if (resolve->done)
		release(resolve);
	else
		worker_abandon(&resolve->chore); /* completed() releases it */
	return NULL;
}

static unsigned service_port(const char *name)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	struct sockaddr_in address;

	if (getaddrinfo(NULL, name, &hints, &list) != 0)
		return 0;
	memcpy(&address, list->ai_addr, sizeof(address));
	freeaddrinfo(list);
	return ntohs(address.sin_port);
}

unsigned resolve_port(const char *port)
{
	unsigned number = 0;

	if (port[0] == '\0')
		return 0;
	if (port[strspn(port, "0123456789")] != '\0')
		return service_port(port);
	for (; *port != '\0' && number <= 0xffff; port++)
		number = 10 * number + (unsigned)(*port - '0');
	return number <= 0xffff ? number : 0;
}

/* The next entry from `at` on that is, or is not, of the family. */
static const struct addrinfo *find_family(const struct addrinfo *at, int family, bool same)
{
	while (at != NULL && (at->ai_family == family) != same)
		at = at->ai_next;
	return at;
}

const struct addrinfo **resolve_order(const struct addrinfo *list, size_t *ret_count)
{
	const struct addrinfo **order = xcalloc(LIMIT_ADDRESSES, sizeof(const struct addrinfo *));
	int family = list != NULL ? list->ai_family : AF_UNSPEC;
	const struct addrinfo *next[2] = {
		find_family(list, family, true), find_family(list, family, false)};
	size_t n = 0;

	for (int turn = 0; n < LIMIT_ADDRESSES && (next[0] != NULL || next[1] != NULL); turn ^= 1) {
		if (next[turn] == NULL)
			continue;
		order[n++] = next[turn];
		next[turn] = find_family(next[turn]->ai_next, family, turn == 0);
	}
	*ret_count = n;
	return order;
}
