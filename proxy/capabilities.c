/* SPDX-License-Identifier: MIT */
#include "proxy/capabilities.h"

#include <string.h>
#include <strings.h>

#include "sync/base/buf.h"
#include "sync/base/xalloc.h"

/* A name that ends in '=' stands for all that begin with it. */
static const char *const hidden[] = {
	"AUTH=",
	"COMPRESS=",
	"LOGINDISABLED",
	"SASL-IR",
	"STARTTLS",
};

static bool is_hidden(const char *word, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		size_t n = strlen(hidden[i]);

		if (len >= n && strncasecmp(word, hidden[i], n) == 0 &&
			(len == n || hidden[i][n - 1] == '='))
			return true;
	}
	return false;
}

/* What was held goes out, or is dropped. */
static void decide(struct capability_filter *filter, struct buf *out)
{
	if (filter->len > 0 && !is_hidden(filter->word, filter->len)) {
		if (filter->begun)
			(void)buf_putc(out, ' ');
		(void)buf_append(out, filter->word, filter->len);
		filter->begun = true;
	}
	filter->len = 0;
}

void capability_filter_feed(
	struct capability_filter *filter, const char *data, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (data[i] == ' ') {
			decide(filter, out);
			filter->passing = false;
		} else if (filter->passing) {
			(void)buf_putc(out, data[i]);
		} else if (filter->len < sizeof(filter->word)) {
			filter->word[filter->len++] = data[i];
		} else if (!is_hidden(filter->word, filter->len)) {
			decide(filter, out);
			(void)buf_putc(out, data[i]);
			filter->passing = true;
		}
	}
}

void capability_filter_end(struct capability_filter *filter, struct buf *out)
{
	decide(filter, out);
	*filter = (struct capability_filter){.len = 0};
}
