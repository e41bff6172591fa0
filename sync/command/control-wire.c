/* SPDX-License-Identifier: MIT */
#include "sync/command/control-wire.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"

/* Memory is never short: see xalloc.h. */
__attribute__((constructor)) static void use_allocation(void)
{
	json_set_alloc_funcs(xmalloc, free);
}

void control_input_init(struct control_input *input, size_t max)
{
	*input = (struct control_input){0};
	buf_init(&input->buf, max);
}

void control_input_done(struct control_input *input)
{
	buf_done(&input->buf);
}

bool control_input_feed(struct control_input *input, const void *data, size_t n)
{
	return buf_append(&input->buf, data, n);
}

int control_input_next(struct control_input *input, json_t **ret, char **ret_reason)
{
	const char *data = buf_data(&input->buf);
	size_t len = buf_len(&input->buf);
	const char *end = memchr(data + input->searched, '\n', len - input->searched);
	json_error_t error;

	if (end == NULL) {
		input->searched = len;
		return 0;
	}
	len = (size_t)(end - data);
	*ret = json_loadb(data, len, JSON_REJECT_DUPLICATES, &error);
	buf_consume(&input->buf, len + 1);
	input->searched = 0;
	if (json_is_object(*ret))
		return 1;
	*ret_reason = *ret != NULL ? xstrdup("the line is no JSON object")
				   : xasprintf("the line is no JSON object: %s", error.text);
	json_decref(take(*ret));
	return -EINVAL;
}

bool control_put(struct buf *output, json_t *own_object)
{
	/* Without JSON_ENSURE_ASCII only control characters are escaped, line ends among them. */
	_cleanup_free_ char *line = json_dumps(own_object, JSON_COMPACT);
	size_t len;

	json_decref(own_object);
	if (line == NULL) /* there was no object, since a text in it was not UTF-8 */
		return false;
	len = strlen(line);
	line[len] = '\n'; /* in place of its NUL: it is not a string any more */
	return buf_append(output, line, len + 1);
}

static const char digits[] = "0123456789abcdef";

static json_t *in_hex(const char *text)
{
	size_t len = strlen(text);
	_cleanup_free_ char *hex = xmalloc(2 * len + 1);
	char *at = hex;

	for (size_t i = 0; i < len; i++) {
		*at++ = digits[(unsigned char)text[i] >> 4];
		*at++ = digits[(unsigned char)text[i] & 15];
	}
	*at = '\0';
	return json_pack("{s:s}", "hex", hex);
}

json_t *control_text(const char *text)
{
	json_t *value;

	if (text == NULL)
		return json_null();
	value = json_string(text);
	return value != NULL ? value : in_hex(text);
}

static char *from_hex(const char *hex)
{
	size_t len = strlen(hex);
	_cleanup_free_ char *text = xmalloc(len / 2 + 1);

	if (len % 2 != 0 || hex[strspn(hex, digits)] != '\0')
		return NULL;
	for (size_t i = 0; i < len / 2; i++) {
		text[i] = (char)((strchr(digits, hex[2 * i]) - digits) << 4 |
				 (strchr(digits, hex[2 * i + 1]) - digits));
		if (text[i] == '\0')
			return NULL;
	}
	text[len / 2] = '\0';
	return take(text);
}

char *control_text_value(const json_t *value)
{
	const char *hex = json_string_value(json_object_get(value, "hex"));

	if (json_is_string(value))
		return xstrdup(json_string_value(value));
	return hex != NULL && json_object_size(value) == 1 ? from_hex(hex) : NULL;
}
