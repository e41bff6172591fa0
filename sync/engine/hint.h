/* SPDX-License-Identifier: MIT */
/*
 * What the proxy tells the engine while mail clients work: where to look, at once.  A hint is never
 * needed for a correct result (the ordinary sync finds everything by itself); it only saves time.
 */
#ifndef INTERIMAP_ENGINE_HINT_H
#define INTERIMAP_ENGINE_HINT_H

enum hint_kind {
	HINT_MAILBOX, /* messages or flags */
	HINT_EXPUNGED, /* a client removed messages there */
	HINT_TREE, /* mailboxes or subscriptions */
	HINT_UNKNOWN, /* look at everything */
	HINT_SELECTED, /* a client has opened it: it comes before all that waits */
};

struct hint_receiver {
	/* The name is borrowed, as it is on the wire (modified UTF-7 with the store's delimiter).
	 */
	void (*hint)(struct hint_receiver *receiver, enum hint_kind kind,
		const char *mailbox_wire_name_or_NULL);
};

#endif
