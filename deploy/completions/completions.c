/* SPDX-License-Identifier: MIT */
/*
 * completions bash|zsh|fish: prints what that shell needs to complete the words of an interimap
 * command, from the table of the program's own options.  Part of the build, and not installed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/arguments.h"
#include "sync/base/xalloc.h"

/* Within single quotes of all three shells. */
static void print_quoted(const char *text)
{
	for (const char *at = text; *at != '\0'; at++) {
		if (*at == '\'')
			(void)fputs("'\\''", stdout);
		else
			(void)putchar(*at);
	}
}

/* --- bash --- */

static void print_bash_options(void)
{
	struct argument_option option;

	for (size_t i = 0; arguments_option(i, &option); i++) {
		if (option.value != ARGUMENT_VALUE_REQUIRED)
			(void)printf(" --%s", option.name);
		if (option.value != ARGUMENT_VALUE_NONE)
			(void)printf(" --%s=", option.name);
	}
}

/* The branches of the case for the values of options.  A value that may be left out is only ever
 * behind "=". */
static void print_bash_values(void)
{
	struct argument_option option;

	for (size_t i = 0; arguments_option(i, &option); i++) {
		if (!option.is_file && option.words == NULL)
			continue;
		(void)printf("\t--%s=%s%s)\n", option.name,
			option.value == ARGUMENT_VALUE_REQUIRED ? " | --" : "",
			option.value == ARGUMENT_VALUE_REQUIRED ? option.name : "");
		if (option.is_file)
			(void)puts("\t\t_interimap_files");
		else
			(void)printf("\t\t_interimap_words '%s' '%s'\n", option.words,
				option.is_list ? "," : "");
		(void)puts("\t\treturn\n\t\t;;");
	}
}

static void print_bash(void)
{
	(void)fputs(
		"# Completion of interimap(1) for bash; made from the table of its options.\n"
		"\n"
		"# One of the words $1; behind the last $2 of what is there, if that is given.\n"
		"_interimap_words()\n"
		"{\n"
		"\tlocal before=\n"
		"\n"
		"\t[[ -z $2 || $cur != *\"$2\"* ]] || before=${cur%\"$2\"*}$2\n"
		"\tCOMPREPLY=($(compgen -P \"$before\" -W \"$1\" -- \"${cur#\"$before\"}\"))\n"
		"}\n"
		"\n"
		"# A configuration file: of the user's folder for them, or any other.\n"
		"_interimap_files()\n"
		"{\n"
		"\tlocal folder=${XDG_CONFIG_HOME:-$HOME/.config}/interimap\n"
		"\n"
		"\tcompopt -o filenames\n"
		"\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\"\n"
		"\t\t[[ $cur == */* ]] || { cd \"$folder\" 2>/dev/null && compgen -f -- \"$cur\"; "
		"})\n"
		"}\n"
		"\n"
		"_interimap()\n"
		"{\n"
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]}\n"
		"\n"
		"\t# bash takes \"--option=value\" for three words.\n"
		"\tif [[ $cur == = ]]; then\n"
		"\t\tcur=\n"
		"\t\toption+==\n"
		"\telif [[ $option == = && $COMP_CWORD -gt 2 ]]; then\n"
		"\t\toption=${COMP_WORDS[COMP_CWORD - 2]}=\n"
		"\tfi\n"
		"\tCOMPREPLY=()\n"
		"\tcase $option in\n",
		stdout);
	print_bash_values();
	(void)fputs("\tesac\n"
		    "\t[[ $cur == -* ]] || return\n"
		    "\tCOMPREPLY=($(compgen -W '",
		stdout);
	print_bash_options();
	(void)fputs("' -- \"$cur\"))\n"
		    "\t[[ ${COMPREPLY-} != *= ]] || compopt -o nospace\n"
		    "}\n"
		    "\n"
		    "complete -F _interimap interimap\n",
		stdout);
}

/* --- zsh --- */

/* Brackets and colons have a meaning in the specifications of _arguments. */
static void print_zsh_help(const char *help)
{
	(void)putchar('[');
	for (const char *at = help; *at != '\0'; at++) {
		char text[] = {*at, '\0'};

		if (strchr("[]:\\", *at) != NULL)
			(void)putchar('\\');
		print_quoted(text);
	}
	(void)putchar(']');
}

static void print_zsh_value(const struct argument_option *option)
{
	if (option->value == ARGUMENT_VALUE_NONE)
		return;
	(void)fputs(option->value == ARGUMENT_VALUE_OPTIONAL ? "::" : ":", stdout);
	if (option->is_file)
		(void)fputs("file:_interimap_files", stdout);
	else if (option->is_list)
		(void)printf("%s:_sequence compadd - %s", option->name, option->words);
	else if (option->words != NULL)
		(void)printf("%s:(%s)", option->name, option->words);
	else
		(void)fputs("value: ", stdout);
}

static void print_zsh_option(const struct argument_option *option)
{
	const char *ends[] = {
		[ARGUMENT_VALUE_NONE] = "",
		[ARGUMENT_VALUE_OPTIONAL] = "=-",
		[ARGUMENT_VALUE_REQUIRED] = "=",
	};

	(void)printf("\t'%s--%s%s", option->repeats ? "*" : "", option->name, ends[option->value]);
	print_zsh_help(option->help);
	print_zsh_value(option);
	(void)puts("' \\");
	if (option->letter == '\0')
		return;
	(void)printf("\t'-%c", option->letter);
	print_zsh_help(option->help);
	(void)puts("' \\");
}

static void print_zsh(void)
{
	struct argument_option option;

	(void)fputs(
		"#compdef interimap\n"
		"# Completion of interimap(1) for zsh; made from the table of its options.\n"
		"\n"
		"_interimap_files() {\n"
		"\t_alternative 'files:file:_files' \\\n"
		"\t\t\"accounts:account:_files -W ${XDG_CONFIG_HOME:-$HOME/.config}/interimap\"\n"
		"}\n"
		"\n"
		"_arguments -s -S \\\n",
		stdout);
	for (size_t i = 0; arguments_option(i, &option); i++)
		print_zsh_option(&option);
	(void)fputs("\t'*:mailbox: '\n", stdout);
}

/* --- fish --- */

static void print_fish_value(const struct argument_option *option)
{
	static const char files[] =
		" -F -a '(set -l folder $HOME/.config; set -q XDG_CONFIG_HOME; "
		"and set folder $XDG_CONFIG_HOME; path basename $folder/interimap/*)'";

	/* An optional value is only ever behind "=". */
	if (option->value == ARGUMENT_VALUE_REQUIRED)
		(void)fputs(option->is_file ? " -r" : " -x", stdout);
	if (option->is_file)
		(void)fputs(files, stdout);
	else if (option->is_list)
		(void)printf(" -a '(__fish_append , %s)'", option->words);
	else if (option->words != NULL)
		(void)printf(" -a '%s'", option->words);
}

static void print_fish(void)
{
	struct argument_option option;

	(void)fputs("# Completion of interimap(1) for fish; made from the table of its options.\n"
		    "\n"
		    "complete -c interimap -f\n",
		stdout);
	for (size_t i = 0; arguments_option(i, &option); i++) {
		(void)fputs("complete -c interimap", stdout);
		if (option.letter != '\0')
			(void)printf(" -s %c", option.letter);
		(void)printf(" -l %s -d '", option.name);
		print_quoted(option.help);
		(void)putchar('\'');
		print_fish_value(&option);
		(void)putchar('\n');
	}
}

int main(int argc, char *argv[])
{
	static const struct {
		const char *name;
		void (*print)(void);
	} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

	for (size_t i = 0; argc == 2 && i < ARRAY_LEN(shells); i++) {
		if (strcmp(argv[1], shells[i].name) != 0)
			continue;
		shells[i].print();
		return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	(void)fputs("Usage: completions bash|zsh|fish\n", stderr);
	return EXIT_FAILURE;
}
