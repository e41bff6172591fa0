/* SPDX-License-Identifier: MIT */
/* What the engine has changed in the local store, so that clients that idle there hear of it at
 * once. */
#ifndef INTERIMAP_CORE_NEWS_H
#define INTERIMAP_CORE_NEWS_H

struct news_receiver {
	/* The name is borrowed, as it is on the store's wire. */
	void (*changed)(struct news_receiver *receiver, const char *mailbox_wire_name);
};

#endif
