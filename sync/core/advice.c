/* SPDX-License-Identifier: MIT */
#include "sync/core/advice.h"

#include <stdbool.h>
#include <stdlib.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/shell.h"
#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/core/core.h"
#include "sync/core/mailbox.h"
#include "sync/core/side.h"

static void put_word(struct buf *out, const char *word)
{
	_cleanup_free_ char *quoted = shell_quote(word);

	(void)buf_printf(out, " %s", quoted);
}

static bool has_option_name(const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (names[i][0] == '-')
			return true;
	return false;
}

char *advice_for_all(const struct core *core, const char *options, const char *const *names,
	size_t count, size_t *ret_named)
{
	const char *config = core->options->account->config_given;
	struct buf out;

	buf_init(&out, SIZE_MAX);
	(void)buf_puts(&out, "interimap");
	if (config != NULL) {
		_cleanup_free_ char *option = xasprintf("--config=%s", config);

		put_word(&out, option);
	}
	(void)buf_printf(&out, " %s", options);
	/* A mailbox may be called like an option. */
	if (has_option_name(names, count))
		(void)buf_puts(&out, " --");
	*ret_named = 0;
	while (*ret_named < count && (*ret_named == 0 || buf_len(&out) < LIMIT_ADVICE))
		put_word(&out, names[(*ret_named)++]);
	return buf_steal(&out);
}

char *advice(const struct core *core, const char *options, const char *name, const char *other)
{
	const char *const names[] = {name, other};
	size_t count = name == NULL ? 0 : other == NULL ? 1 : 2, named;

	return advice_for_all(core, options, names, count, &named);
}

char *missing_advice(const struct core *core, const struct mailbox *mailbox)
{
	const char *other = mailbox->presence.missing->remote ? "local" : "remote";
	_cleanup_free_ char *restore =
		advice(core, "--target=database --delete", mailbox->display, NULL);
	_cleanup_free_ char *give_up = advice(core, "--delete", mailbox->display, NULL);

	return xasprintf("To get it back, run `%s`: the next run makes it again from the %s "
			 "server. Only if it is meant to be gone, run `%s`, which deletes it on "
			 "the %s server as well, with all messages in it",
		restore, other, give_up, other);
}
