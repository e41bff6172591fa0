/* SPDX-License-Identifier: MIT */
#include "sync/base/fault.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"

static const char *const events[] = {
	[FAULT_TURN] = "turn",
	[FAULT_ANSWER] = "answer",
	[FAULT_DATABASE_WRITE] = "database-write",
	[FAULT_DATABASE_SYNC] = "database-sync",
	[FAULT_SPOOL] = "spool",
	[FAULT_SEND] = "send",
	[FAULT_WAKE] = "wake",
};
_Static_assert(ARRAY_LEN(events) == FAULT_EVENTS, "every event has a name");

static const struct {
	const char *name;
	int signal; /* 0: none */
} acts[] = {{"TERM", SIGTERM}, {"HUP", SIGHUP}, {"KILL", SIGKILL}, {"fail", 0}};

static struct {
	bool read; /* the environment was */
	bool set;
	enum fault_event event;
	size_t act;
	unsigned long first, last, count;
} plan;

/* "N:" or "N-M:"; NULL if it is neither. */
static const char *read_numbers(const char *text)
{
	char *end;

	plan.first = plan.last = strtoul(text, &end, 10);
	if (*end == '-')
		plan.last = strtoul(end + 1, &end, 10);
	return *end == ':' ? end + 1 : NULL;
}

/* Left out if it is not as it should be: it is not for users. */
static void read_plan(const char *text)
{
	const char *colon = text != NULL ? strchr(text, ':') : NULL;

	plan.read = true;
	if (colon == NULL)
		return;
	while (plan.event < FAULT_EVENTS &&
		(strlen(events[plan.event]) != (size_t)(colon - text) ||
			strncmp(events[plan.event], text, (size_t)(colon - text)) != 0))
		plan.event++;
	text = read_numbers(colon + 1);
	while (text != NULL && plan.act < ARRAY_LEN(acts) && strcmp(acts[plan.act].name, text) != 0)
		plan.act++;
	plan.set = text != NULL && plan.event < FAULT_EVENTS && plan.act < ARRAY_LEN(acts);
}

bool fault_due(enum fault_event event)
{
	if (!plan.read)
		read_plan(getenv("INTERIMAP_FAULT"));
	if (!plan.set || event != plan.event || ++plan.count < plan.first || plan.count > plan.last)
		return false;
	if (acts[plan.act].signal != 0)
		(void)raise(acts[plan.act].signal);
	return acts[plan.act].signal == 0;
}
