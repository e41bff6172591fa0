/* SPDX-License-Identifier: MIT */
/* A mail client's own connection to the local store, up to the point where it is logged in. */
#ifndef INTERIMAP_PROXY_BACKEND_H
#define INTERIMAP_PROXY_BACKEND_H

#include <stdbool.h>

struct backend;
struct buf;
struct loop;
struct endpoint;
struct stream;
struct worker;

struct backend_handler {
	/* Once, from the loop: the store has accepted us, or `reason` is a sentence without a full
	 * stop. */
	void (*ready)(struct backend_handler *handler);
	void (*failed)(struct backend_handler *handler, const char *reason);
};

/*
 * The store (sync/config/endpoint.h) is borrowed, and must outlive it.  Just logged in: it is the
 * client that decides about ENABLE, and the relay must see the bytes uncompressed.
 */
struct backend *backend_new(struct loop *loop, struct worker *worker, const struct endpoint *store,
	struct backend_handler *handler);
/* Drops the connection unless its stream was taken.  Accepts NULL. */
struct backend *backend_free(struct backend *backend);

/* It will be ready, or fail, without anybody's doing. */
bool backend_is_attended(const struct backend *backend);
/* After `ready`: the store's capabilities, separated by spaces. */
const char *backend_capabilities(const struct backend *backend);
/* After `ready`, once: the stream is the caller's, and what was read from it and not used. */
struct stream *backend_take_stream(struct backend *backend, struct buf *ret_leftover);

#endif
