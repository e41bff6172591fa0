/* SPDX-License-Identifier: MIT */
/*
 * Cuts the byte stream of a server into whole responses (RFC 3501 section 7 and 2.2.2), at any
 * chunking of the bytes.
 *
 * A response is one line together with the literals in it ({n}, literal8 ~{n}).  Small literals
 * stay within the response.  A message body (the literal of a FETCH item BODY[], BODY[]<n>,
 * BINARY[] or RFC822) is never held: it is announced and streamed to a sink, and the response keeps
 * a marker in its place.  A body that came as a non-empty quoted string goes the same way, so that
 * its reader sees no difference.
 *
 * A few empty lines between responses are passed over (LIMIT_EMPTY_LINES; RFC 3501 has none), and a
 * bare LF ends a line as well.
 *
 * Errors are sticky: a NUL byte outside a literal, a response that is too long, a literal too large
 * to keep, nothing but empty lines.  The connection must then be dropped.
 */
#ifndef INTERIMAP_IMAP_INPUT_H
#define INTERIMAP_IMAP_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where bodies go.  All calls come from within input_feed(). */
struct input_sink {
	/*
	 * A body of `size` bytes (possibly 0) begins.  `head` is the response so far, without the
	 * announcement of the literal, e.g. `* 3 FETCH (UID 7 FLAGS () BODY[]`: what it says is
	 * read with response_parse_head().  Returns false to have the bytes skipped: then neither
	 * data nor end follows.
	 */
	bool (*begin)(struct input_sink *sink, const char *head, size_t head_len, uint64_t size);
	/* The next bytes of it.  false: cannot be stored; the rest is skipped, up to the end. */
	bool (*data)(struct input_sink *sink, const char *data, size_t n);
	/* After each begin that returned true, unless the connection is lost before. */
	void (*end)(struct input_sink *sink);
};

enum input_result {
	INPUT_MORE, /* all bytes consumed; feed more */
	INPUT_RESPONSE, /* a response is ready: input_response(), then feed the rest */
	INPUT_ERROR, /* input_error() says why */
};

struct input;

/* The sink is borrowed for the life of the object; with NULL every body is skipped. */
struct input *input_new(struct input_sink *sink);
struct input *input_free(struct input *input);

/*
 * Consumes bytes up to the end of the next response.  *ret_used is how many were taken.  After
 * INPUT_RESPONSE the next call starts a new response.
 */
enum input_result input_feed(struct input *input, const char *data, size_t n, size_t *ret_used);

/*
 * The response without its final CRLF, small literals inside as they came (`{3}\r\nabc`), each
 * streamed body as one NUL byte.  Mutable, so that quoted strings can be unescaped in place.  Valid
 * until the next input_feed().
 */
char *input_response(struct input *input, size_t *ret_len);

/*
 * The beginning of a response whose rest has not come, as it came (but for bodies); for who takes
 * over the stream.  *ret_len is 0 between two responses.  Valid until the next input_feed().
 */
const char *input_partial(const struct input *input, size_t *ret_len);

/* Bytes of bodies so far, from the beginning on, that the sink took. */
uint64_t input_body_bytes(const struct input *input);

/* One sentence without a full stop; NULL when there was no error. */
const char *input_error(const struct input *input);

#endif
