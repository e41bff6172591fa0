/* SPDX-License-Identifier: MIT */
#include "sync/imap/alerts.h"

#include <stdlib.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"

void alerts_done(struct alerts *alerts)
{
	for (size_t i = 0; i < alerts->count; i++)
		free(alerts->shown[i]);
	free(alerts->shown);
	*alerts = (struct alerts){0};
}

const char *alerts_take(struct alerts *alerts, struct slice text)
{
	size_t len = text.len < LIMIT_ALERT ? text.len : LIMIT_ALERT;

	if (alerts->count >= LIMIT_ALERTS)
		return NULL;
	for (size_t i = 0; i < alerts->count; i++)
		if (strlen(alerts->shown[i]) == len &&
			memcmp(alerts->shown[i], text.data, len) == 0)
			return NULL;
	alerts->shown = xreallocarray(alerts->shown, alerts->count + 1, sizeof(*alerts->shown));
	alerts->shown[alerts->count] = xmemdup0(text.data, len);
	return alerts->shown[alerts->count++];
}
