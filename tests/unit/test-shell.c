/* SPDX-License-Identifier: MIT */
/*
 * A mailbox called "$(id)" came out of the log as a command to be pasted: it must mean itself to
 * the shell, whatever it holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/base/shell.h"
#include "sync/base/xalloc.h"

static void quotes(void **state)
{
	static const struct {
		const char *word, *quoted;
	} table[] = {
		{"INBOX", "INBOX"},
		{"a/b.c-d_e:f@g%h+i,j=k", "a/b.c-d_e:f@g%h+i,j=k"},
		{"", "''"},
		{"=ls", "'=ls'"},
		{"$(id)", "'$(id)'"},
		{"`id`", "'`id`'"},
		{"Entw&APw-rfe", "'Entw&APw-rfe'"},
		{"caf\xc3\xa9", "'caf\xc3\xa9'"},
		{"it's", "'it'\\''s'"},
		{"~root", "'~root'"},
		{"a!b", "'a!b'"},
		{"a\nb", "$'a\\012b'"},
		{"a'\\\x1b[31m", "$'a\\'\\\\\\033[31m'"},
		{"\xe2\x80\xae"
		 "7",
			"$'\\342\\200\\2567'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char *quoted = shell_quote(table[i].word);

		assert_string_equal(quoted, table[i].quoted);
		free(quoted);
	}
}

/* What a real shell makes of it, for every byte. */
static void means_itself(void **state)
{
	char word[300];
	size_t len = 0;

	(void)state;
	for (int c = 1; c < 256; c++)
		word[len++] = (char)c;
	word[len++] = '7';
	word[len] = '\0';
	for (size_t from = 0; from < len; from += 31) {
		char *quoted = shell_quote(word + from), out[300] = {0};
		char *command = xasprintf("exec bash -c 'printf %%s \"$1\"' - %s", quoted);
		char *outer = xasprintf("bash -c \"$COMMAND\"");
		FILE *pipe;

		assert_int_equal(setenv("COMMAND", command, 1), 0);
		pipe = popen(outer, "r");
		assert_non_null(pipe);
		assert_int_equal(fread(out, 1, sizeof(out) - 1, pipe), len - from);
		assert_int_equal(pclose(pipe), 0);
		assert_string_equal(out, word + from);
		free(quoted);
		free(command);
		free(outer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes),
		cmocka_unit_test(means_itself),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
