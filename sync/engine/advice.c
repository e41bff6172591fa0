/* SPDX-License-Identifier: MIT */
#include "sync/engine/advice.h"

#include <stdlib.h>

#include "sync/base/buf.h"
#include "sync/base/shell.h"
#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/engine/engine-private.h"

static void put_word(struct buf *out, const char *word)
{
	_cleanup_free_ char *quoted = shell_quote(word);

	(void)buf_printf(out, " %s", quoted);
}

char *advice(const struct engine *engine, const char *options, const char *name, const char *other)
{
	const char *config = engine->options->account->config_given;
	struct buf out;

	buf_init(&out, SIZE_MAX);
	(void)buf_puts(&out, "interimap");
	if (config != NULL) {
		_cleanup_free_ char *option = xasprintf("--config=%s", config);

		put_word(&out, option);
	}
	(void)buf_printf(&out, " %s", options);
	/* A mailbox may be called like an option. */
	if ((name != NULL && name[0] == '-') || (other != NULL && other[0] == '-'))
		(void)buf_puts(&out, " --");
	if (name != NULL)
		put_word(&out, name);
	if (other != NULL)
		put_word(&out, other);
	return buf_steal(&out);
}
