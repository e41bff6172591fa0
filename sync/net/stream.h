/* SPDX-License-Identifier: MIT */
/*
 * One bidirectional byte stream on the loop: a descriptor (socket, or one end of a socket pair),
 * and filters upon it (TLS, DEFLATE).  Nothing blocks.
 *
 * Events go to the owner's handler, always from the loop, never from inside a call of this
 * interface.  STREAM_READABLE is level-triggered: it comes again as long as reading is wanted and
 * there is something to read, bytes hidden in a filter included.  STREAM_LOST comes once, and
 * nothing after it.  The owner may call stream_free() inside a handler.
 *
 * When sending fails, what the peer has still said is offered first (READABLE), and only then comes
 * STREAM_LOST.  After an end of the input (0 from stream_recv()) no READABLE comes; sending goes
 * on.
 */
#ifndef INTERIMAP_NET_STREAM_H
#define INTERIMAP_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct stream;
struct tls_context;

enum stream_event {
	STREAM_UP, /* the TLS handshake is done (after stream_start_tls_client/server) */
	STREAM_READABLE, /* call stream_recv() */
	STREAM_WRITABLE, /* write interest was set, and there is room */
	STREAM_LOST, /* failed; stream_error() says why */
};

struct stream_handler {
	void (*event)(struct stream_handler *handler, enum stream_event event);
};

/* Takes the descriptor, which must be non-blocking.  Reading is wanted from the start. */
struct stream *stream_new(struct loop *loop, int own_fd, struct stream_handler *handler);
/* Closes at once, without flushing.  Accepts NULL. */
struct stream *stream_free(struct stream *stream);

/*
 * Begins a TLS handshake upon what is there; no data passes and no READABLE or WRITABLE comes
 * before STREAM_UP. A failed handshake is STREAM_LOST with a sentence ("the certificate is not
 * trusted: self-signed certificate …"). host_name is what the certificate is matched against (a DNS
 * name or an IP literal).  The context must stay until stream_free().
 */
void stream_start_tls_client(
	struct stream *stream, const struct tls_context *context, const char *host_name);
void stream_start_tls_server(struct stream *stream, const struct tls_context *context);

/*
 * From here on both directions are raw DEFLATE (RFC 4978).  `already` are bytes read beyond the OK:
 * compressed input.  0, or -EINVAL if they are more than LIMIT_READ.
 */
int stream_start_deflate(struct stream *stream, const void *already, size_t n);

/* Bytes read (> 0), 0 at the end of the stream, -EAGAIN, or another -errno (STREAM_LOST follows).
 */
ssize_t stream_recv(struct stream *stream, void *data, size_t n);

/*
 * Bytes accepted (0 < result <= n), -EAGAIN, or another -errno.  What was accepted is sent without
 * further calls; DEFLATE is flushed when the owner calls stream_flush(), once per batch of output.
 */
ssize_t stream_send(struct stream *stream, const void *data, size_t n);
void stream_flush(struct stream *stream);

/* No more output; the peer sees the end of the stream after what was sent (TLS close_notify,
 * shutdown(SHUT_WR)). */
void stream_shutdown(struct stream *stream);
/* Everything accepted has left for the kernel. */
bool stream_is_drained(const struct stream *stream);

/* An event will come when the peer says something, or is lost; or when it takes more. */
bool stream_is_listening(const struct stream *stream);
bool stream_awaits_room(const struct stream *stream);

/* Events go to this handler from now on. */
void stream_set_handler(struct stream *stream, struct stream_handler *handler);

void stream_want_read(struct stream *stream, bool want);
void stream_want_write(struct stream *stream, bool want);

/* TCP keep-alive, and TCP_USER_TIMEOUT (milliseconds until unacknowledged data means a dead peer);
 * no-op on other descriptors. */
void stream_set_keepalive(struct stream *stream, bool on, unsigned user_timeout_ms);

/* Why it was lost, one sentence without a full stop; valid until stream_free(). */
const char *stream_error(const struct stream *stream);
bool stream_is_tls(const struct stream *stream);
/* STREAM_UP is still to come. */
bool stream_is_handshaking(const struct stream *stream);
/* For the log: "TLSv1.3 with TLS_AES_256_GCM_SHA384"; NULL without TLS. */
const char *stream_tls_description(const struct stream *stream);
/* RFC 9266 / RFC 5929 channel binding data of the TLS connection for SASL; false if there is none.
 */
bool stream_channel_binding(const struct stream *stream, const char **ret_type,
	const void **ret_data, size_t *ret_size);

/* Bytes that passed on the descriptor so far. */
uint64_t stream_bytes_received(const struct stream *stream);
uint64_t stream_bytes_sent(const struct stream *stream);
/* Likewise, without those that the kernel still has to send, or that were not acknowledged. */
uint64_t stream_bytes_delivered(const struct stream *stream);

#endif
