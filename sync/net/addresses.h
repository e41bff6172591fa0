/* SPDX-License-Identifier: MIT */
/*
 * Tells when the addresses or routes of this machine change (rtnetlink(7)), as they do when it
 * changes networks.  A connection that was made before may be dead then without anybody saying so,
 * and one that could not be made may be possible now.
 */
#ifndef INTERIMAP_NET_ADDRESSES_H
#define INTERIMAP_NET_ADDRESSES_H

struct addresses;
struct loop;

struct addresses_handler {
	/* From the loop, once for all that changed within ADDRESSES_PAUSE. */
	void (*changed)(struct addresses_handler *handler);
};

/* NULL where the system does not tell; nothing is reported then.  The handler is borrowed. */
struct addresses *addresses_new(struct loop *loop, struct addresses_handler *handler);
/* Accepts NULL. */
struct addresses *addresses_free(struct addresses *addresses);

#endif
