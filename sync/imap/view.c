/* SPDX-License-Identifier: MIT */
#include "sync/imap/view.h"

#include <stdlib.h>

#include "sync/base/xalloc.h"

static void drop_permanent(struct view *view)
{
	for (size_t i = 0; i < view->permanent_count; i++)
		free((char *)view->permanent[i].data);
	free(take(view->permanent));
	view->permanent_count = 0;
	view->has_permanent = false;
}

void view_reset(struct view *view)
{
	drop_permanent(view);
	view->uidvalidity = view->uidnext = view->exists = 0;
	view->highestmodseq = 0;
	view->no_modseq = view->read_only = false;
	view->expunges = 0;
	view->exists_changed = false;
}

void view_done(struct view *view)
{
	drop_permanent(view);
}

static void set_permanent(struct view *view, const struct response *response)
{
	drop_permanent(view);
	view->permanent = xcalloc(response->atoms_count, sizeof(*view->permanent));
	for (size_t i = 0; i < response->atoms_count; i++) {
		view->permanent[i].data = slice_dup(response->atoms[i]);
		view->permanent[i].len = response->atoms[i].len;
	}
	view->permanent_count = response->atoms_count;
	view->has_permanent = true;
}

static bool take_code(struct view *view, struct response *response)
{
	switch (response->code) {
	case CODE_UIDVALIDITY:
		view->uidvalidity = (uint32_t)response->number;
		return true;
	case CODE_UIDNEXT:
		view->uidnext = (uint32_t)response->number;
		return true;
	case CODE_HIGHESTMODSEQ:
		view->highestmodseq = response->number;
		return true;
	case CODE_NOMODSEQ:
		view->no_modseq = true;
		return true;
	case CODE_UIDNOTSTICKY:
		view->uids_not_sticky = true;
		return true;
	case CODE_PERMANENTFLAGS:
		set_permanent(view, response);
		return true;
	case CODE_READ_ONLY:
		view->read_only = true;
		return true;
	case CODE_READ_WRITE:
	case CODE_UNSEEN:
		return true;
	default:
		return false;
	}
}

void view_begin(struct view *view, struct response *response)
{
	(void)view_take(view, response);
	view->expunges = 0;
	view->exists_changed = false;
}

static void tell_changed(struct view *view)
{
	if (view->changed != NULL)
		view->changed(view);
}

/* Which message it was is not known: it is told by a number that may count others. */
static void take_expunge(struct view *view)
{
	if (view->exists > 0)
		view->exists--;
	if (view->expunges < UINT32_MAX)
		view->expunges++;
	tell_changed(view);
}

bool view_take(struct view *view, struct response *response)
{
	switch (response->type) {
	case RESPONSE_CONDITION:
		/* UIDNOTSTICKY comes with an untagged NO (RFC 4315 section 2). */
		return (response->condition == CONDITION_OK ||
			       response->condition == CONDITION_NO) &&
		       take_code(view, response);
	case RESPONSE_EXISTS:
		view->exists_changed |= view->exists != response->number;
		view->exists = (uint32_t)response->number;
		tell_changed(view);
		return true;
	case RESPONSE_EXPUNGE: /* does not come once QRESYNC is enabled */
		take_expunge(view);
		return true;
	case RESPONSE_FETCH:
		if (view->fetched != NULL)
			view->fetched(view, response);
		return true;
	case RESPONSE_VANISHED:
		if (view->vanished != NULL)
			view->vanished(view, &response->set, response->earlier);
		return true;
	case RESPONSE_FLAGS:
	case RESPONSE_RECENT:
		return true;
	default:
		return false;
	}
}
