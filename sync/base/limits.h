/* SPDX-License-Identifier: MIT */
/* Every limit on what a peer may make us hold or do, in one place. */
#ifndef INTERIMAP_BASE_LIMITS_H
#define INTERIMAP_BASE_LIMITS_H

enum {
	/* Wire: from a server */
	LIMIT_RESPONSE = 16 << 20, /* bytes of one response, small literals included, bodies not */
	LIMIT_LITERAL_INLINE = 1 << 20, /* bytes of one literal that is kept within its response */
	LIMIT_EMPTY_LINES = 100, /* between two responses: there should be none */
	LIMIT_LIST_DEPTH = 64, /* nesting of parenthesised lists that are skipped over */
	LIMIT_ATOMS = 10000, /* capabilities or flags in one response */
	LIMIT_CAPABILITIES = 1000, /* distinct capabilities remembered of one server */
	LIMIT_ALERTS = 50, /* texts marked [ALERT] that are shown of one connection … */
	LIMIT_ALERT = 1000, /* … and bytes of each */
	LIMIT_SCRAM_ITERATIONS = 1000000, /* hash rounds a server may ask of us at login */
	LIMIT_GREETING_SECONDS = 30, /* connect to ready, each step */
	LIMIT_CONNECT_SECONDS =
		10, /* for one connection to be made: a network that comes back is not kept waiting
		       by an attempt that began before, whose packets are sent ever more rarely */

	/* Wire: to a server */
	LIMIT_COMMAND_LINE =
		8000, /* bytes of a command line without literals (RFC 7162 section 4) */
	LIMIT_OUTPUT = 256 << 10, /* bytes of output encoded but not yet accepted by the stream */
	LIMIT_READ = 64 << 10, /* bytes read from a stream at once */

	LIMIT_COMMAND_BYTES =
		256 << 10, /* bytes of a command, literals of its own included, spools not */
	LIMIT_IN_FLIGHT =
		32 << 10, /* bytes of commands sent and not answered, spools not counted */
	LIMIT_SILENCE_SECONDS = 120, /* of waiting for the answer to the oldest command, whose bytes
					earn more: a SELECT of a million messages takes a minute */
	LIMIT_SLOW_RATE = 64, /* so many bytes of an answer, either way, earn a second */
	LIMIT_PROGRESS_SECONDS =
		15 * 60, /* that a server may say that it works on a command, and answer nothing:
			    it searches, or copies, a large mailbox */
	LIMIT_UNACKNOWLEDGED_SECONDS =
		45, /* the peer's machine acknowledges nothing, data or keep-alive: likewise */

	/* Messages */
	LIMIT_BODY_FACTOR = 16, /* a body may be as many times its declared size … */
	LIMIT_BODY_EXCESS = 1 << 20, /* … and so many bytes more */
	LIMIT_BODY_SKIPPED =
		256 << 20, /* bytes of a body that is longer, and skipped; beyond: the line goes */
	LIMIT_SPOOL_MEMORY =
		1 << 20, /* bytes of one body in memory; what is longer goes to a file */
	LIMIT_FLAG_LISTS = 100000, /* distinct flag lists of one account */
	LIMIT_FLAG_NAME = 255, /* bytes of one flag */
	LIMIT_FLAG_BYTES = 64 << 20, /* bytes of all flag lists of one account */
	LIMIT_FLAG_TEXT = 4000, /* bytes of the flag list of one STORE, half of a command line */
	LIMIT_FLAGS_PER_MESSAGE = 1000, /* flags and keywords of one message */
	LIMIT_DELTA_CHANGES =
		1 << 20, /* messages with changed flags that one pass over a mailbox holds */
	LIMIT_UID_RANGES = 1 << 20, /* ranges of one UID set */
	LIMIT_QUARANTINE =
		10000, /* messages and the like of an account that are remembered as left alone … */
	LIMIT_QUARANTINE_TEXT = 500, /* … and bytes of each text that is kept with one */
	LIMIT_SUSPICIONS = 100, /* things over which connections were lost, as remembered … */
	LIMIT_SUSPECT_RANGES = 1000, /* … and ranges of UIDs of each */
	LIMIT_MOVED = 50000, /* messages of one mailbox that are compared, to see what was moved */

	/* Connections */
	LIMIT_WORKER_THREADS = 4, /* lookups and password hashes under way at once */
	LIMIT_WORKER_END_SECONDS = 1, /* wait for them when the program ends */
	LIMIT_HELPER_OUTPUT = 16 << 10, /* bytes that a command for a password or token prints … */
	LIMIT_HELPER_LINE = 300, /* … and of what it said last that are shown … */
	LIMIT_HELPER_SECONDS = 60, /* … and until it must have ended */
	LIMIT_BEARER_ERROR = 4096, /* bytes of what a server says against a token, in base64 … */
	LIMIT_BEARER_SHOWN = 100, /* … and of each member that is shown */
	LIMIT_ADDRESSES = 32, /* addresses tried of one host name */
	LIMIT_CERTIFICATE_NAMES = 500, /* bytes of the names of a certificate shown in a message */
	LIMIT_FILTER_OUTPUT =
		32 << 10, /* bytes that TLS or DEFLATE holds before it accepts no more */

	/* Mail clients of the proxy */
	LIMIT_LOGIN_LINE = 8192, /* bytes of one line before login */
	LIMIT_LOGIN_LITERAL = 4096, /* bytes of one literal before login */
	LIMIT_LOGIN_COMMAND = 16384, /* bytes of one command before login */
	LIMIT_LOGIN_SECONDS = 60, /* from connect to login */
	LIMIT_LOGIN_FAILURES = 3, /* wrong passwords on one connection */
	LIMIT_LOGIN_DELAY_MS = 8000, /* longest delay of the answer to a wrong password */
	LIMIT_BAD_COMMANDS = 10, /* commands before login that are none */
	LIMIT_GUESTS = 200, /* clients that have not logged in; the oldest gives way */
	LIMIT_RELAY = 64 << 10, /* bytes on their way in one direction */
	LIMIT_RELAY_ANSWERS = 8192, /* bytes of our own answers that wait for a gap */
	LIMIT_LINGER_SECONDS = 2, /* wait for a client to close after the last byte to it */
	LIMIT_STORE_END_SECONDS = 60, /* wait for the store to end after its client was lost */
	LIMIT_STORE_ROOM = 1 << 20, /* bytes beside a message, and … */
	LIMIT_STORE_FILES = 16, /* … files: less is no room in a folder of the store */
	LIMIT_STORE_LOG = 1 << 20, /* bytes of the embedded store's log before it is emptied */
	LIMIT_STORE_MOVE_MS =
		5000, /* wait for those who use a mail folder that is to be moved to a new layout */
	LIMIT_STORE_SUBSCRIPTIONS = 64 << 20, /* bytes of the list of subscriptions in it */
	LIMIT_INHERITED = 64, /* listening sockets handed over by systemd */
	LIMIT_OBSERVED_HEAD = 128, /* bytes of tag and verb */
	LIMIT_OBSERVED_TAG = 64, /* bytes of a tag; what is longer is not followed */
	LIMIT_OBSERVED_NAME = 1024, /* bytes of a mailbox name in a client's command, likewise */
	LIMIT_OBSERVED_SET =
		64 << 10, /* bytes of a set of messages that a client marks or expunges */
	LIMIT_OBSERVED_COMMANDS = 1024, /* unanswered commands of one client, likewise */
	LIMIT_OBSERVED_CODE = 1 << 20, /* bytes of a COPYUID that is followed */
	LIMIT_COPIED_UIDS = 200000, /* messages of one COPYUID that is followed */

	/* Commands that ask a service */
	LIMIT_CONTROL_PEERS = 32, /* callers, and orders */
	LIMIT_CONTROL_REQUEST = 64 << 10, /* bytes of a request */
	LIMIT_CONTROL_SECONDS = 10, /* from connect to request, and for reading the last answer */
	LIMIT_CONTROL_LINES = 1 << 20, /* bytes of log lines that wait for their caller */
	LIMIT_CONTROL_OUTPUT = 64 << 20, /* bytes of all that does: the status of every mailbox */

	LIMIT_STATUS_WAITS = 100, /* of what waits, so many are told */

	/* Configuration */
	LIMIT_CONFIG_FILE = 1 << 20, /* bytes of the file */
	LIMIT_CONFIG_LINE = 16 << 10, /* bytes of a line */
	LIMIT_CONFIG_ENTRIES = 1000, /* options, and sections */

	/* Accounts */
	LIMIT_MAILBOXES = 100000, /* mailboxes listed by one server */
	LIMIT_MAILBOX_NAME = 4096, /* bytes of a mailbox name */
	LIMIT_ADVICE = 32 << 10, /* bytes of a command that names mailboxes, by and large */
	LIMIT_DEEDS = 100000, /* actions of mail clients that wait for the remote side */
};

#endif
