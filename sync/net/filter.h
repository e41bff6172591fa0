/* SPDX-License-Identifier: MIT */
/*
 * One layer of a stream: the socket at the bottom, TLS and DEFLATE upon it.  Private to this folder
 * and its tests.
 *
 * A filter holds a bounded amount of output (it accepts nothing while it has no room) and may hide
 * input that it has read from below but not given out; neither shows on the descriptor, so the
 * stream asks for them.  No function here blocks or calls the owner.
 */
#ifndef INTERIMAP_NET_FILTER_H
#define INTERIMAP_NET_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct filter;
struct loop;
struct stream;
struct stream_handler;
struct tls_context;

struct filter_class {
	/* Bytes read, 0 at the end of the input, -EAGAIN, or another -errno with filter->error set.
	 */
	ssize_t (*recv)(struct filter *filter, void *data, size_t n);
	/* Bytes taken (> 0), -EAGAIN, or another -errno with filter->error set. */
	ssize_t (*send)(struct filter *filter, const void *data, size_t n);
	/* Moves held output down as far as possible.  0 (also when some is left), or -errno. */
	int (*push)(struct filter *filter);
	/* All that was accepted is to go out with the next push, nothing may wait for more. */
	void (*flush)(struct filter *filter);
	/* Nothing is sent any more: says so to the peer, through push where that takes bytes. */
	void (*shutdown)(struct filter *filter);
	/* recv() can give something, or say more than -EAGAIN, without the descriptor being
	 * readable. */
	bool (*has_input)(const struct filter *filter);
	/* Accepted output has not all gone down. */
	bool (*has_output)(const struct filter *filter);
	/* send() would take something; for the socket, the descriptor alone knows. */
	bool (*has_room)(const struct filter *filter);
	void (*free)(struct filter *filter);
};

struct filter {
	const struct filter_class *class;
	struct filter *lower; /* NULL below the socket; set by stream_put_filter() */
	char *error; /* why an -errno was returned, if that says more than the number; owned */
	bool shut;
	bool unflushed; /* output is held back until flush(); has_output() does not count it */
};

/* Sets filter->error unless it is set already. */
void filter_fail(struct filter *filter, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts a filter on top of the stream, which takes it. */
void stream_put_filter(struct stream *stream, struct filter *own_filter);

/* --- The socket --- */

struct filter *filter_socket_new(int own_fd);
int filter_socket_fd(const struct filter *filter);
uint64_t filter_socket_received(const struct filter *filter);
uint64_t filter_socket_sent(const struct filter *filter);
uint64_t filter_socket_delivered(const struct filter *filter);

/* --- TLS --- */

/* Client when host_name is not NULL, else server. */
struct filter *filter_tls_new(const struct tls_context *context, const char *host_name);
/* One step.  0 when it is done, -EAGAIN, or another -errno with filter->error set. */
int filter_tls_handshake(struct filter *filter);
const char *filter_tls_description(struct filter *filter);
bool filter_tls_channel_binding(
	struct filter *filter, const char **ret_type, const void **ret_data, size_t *ret_size);

/* --- DEFLATE --- */

/* NULL when zlib refuses.  `already` is copied. */
struct filter *filter_deflate_new(const void *already, size_t n);

#endif
