/* SPDX-License-Identifier: MIT */
#include "proxy/auth.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sync/base/folder.h"
#include "sync/base/limits.h"
#include "sync/base/worker.h"
#include "sync/base/xalloc.h"

enum { DIGEST_SIZE = 32, FIRST_DELAY_MS = 500, FORGET_SECONDS = 30 };

struct auth {
	struct worker *worker;
	char *username, *password, *hash;
	unsigned failures; /* lately */
	double last_answer; /* when the last of them was told, or will be */
};

struct auth_check {
	struct chore chore;
	struct auth_handler *handler; /* NULL once it was told */
	/* What the thread needs, copied: the auth may be gone before it ends. */
	char *username, *password, *hash;
	char *given_user, *given_password;
	char *result; /* what the thread made of the password and the hash; NULL if it cannot */
	bool completed; /* the chore is over; freed by whoever comes last */
};

static char *copy(const char *s)
{
	return s != NULL ? xstrdup(s) : NULL;
}

static void wipe(char *own_secret)
{
	if (own_secret != NULL)
		OPENSSL_cleanse(own_secret, strlen(own_secret));
	free(own_secret);
}

struct auth *auth_new(
	struct worker *worker, const char *username, const char *password, const char *hash)
{
	struct auth *auth = xcalloc(1, sizeof(*auth));

	auth->worker = worker;
	auth->username = xstrdup(username);
	auth->password = copy(password);
	auth->hash = copy(hash);
	return auth;
}

struct auth *auth_free(struct auth *auth)
{
	if (auth == NULL)
		return NULL;
	free(auth->username);
	wipe(auth->password);
	wipe(auth->hash);
	free(auth);
	return NULL;
}

/* Compares by digest, so that neither length nor content shows in the time it takes. */
static bool is_equal(const char *one, const char *other)
{
	unsigned char digests[2][DIGEST_SIZE];

	if (EVP_Digest(one, strlen(one), digests[0], NULL, EVP_sha256(), NULL) != 1 ||
		EVP_Digest(other, strlen(other), digests[1], NULL, EVP_sha256(), NULL) != 1)
		return false;
	return CRYPTO_memcmp(digests[0], digests[1], DIGEST_SIZE) == 0;
}

/*
 * In the thread.  Not crypt_r(): AddressSanitizer wraps it, whereupon the linker finds no use for
 * libcrypt and leaves it out.
 */
static void run(struct chore *chore)
{
	struct auth_check *check = container_of(chore, struct auth_check, chore);
	struct crypt_data *data;

	if (check->hash == NULL)
		return;
	data = xcalloc(1, sizeof(*data)); /* 32 KiB: not for a stack */
	check->result =
		copy(crypt_rn(check->given_password, check->hash, data, (int)sizeof(*data)));
	OPENSSL_cleanse(data, sizeof(*data));
	free(data);
}

static bool is_accepted(const struct auth_check *check)
{
	bool user = is_equal(check->given_user, check->username), password;

	if (check->hash != NULL)
		password = check->result != NULL && is_equal(check->result, check->hash);
	else
		password = is_equal(check->given_password, check->password);
	return user && password;
}

static void release(struct auth_check *check)
{
	free(check->username);
	wipe(check->password);
	wipe(check->hash);
	free(check->given_user);
	wipe(check->given_password);
	wipe(check->result);
	free(check);
}

static void completed(struct chore *chore)
{
	struct auth_check *check = container_of(chore, struct auth_check, chore);

	if (chore->abandoned || check->handler == NULL) {
		release(check);
		return;
	}
	check->completed = true;
	check->handler->decided(check->handler, is_accepted(check));
}

struct auth_check *auth_check_new(
	struct auth *auth, const char *user, const char *password, struct auth_handler *handler)
{
	struct auth_check *check = xcalloc(1, sizeof(*check));

	check->chore.run = run;
	check->chore.completed = completed;
	check->handler = handler;
	check->username = xstrdup(auth->username);
	check->password = copy(auth->password);
	check->hash = copy(auth->hash);
	check->given_user = xstrdup(user);
	check->given_password = xstrdup(password);
	worker_submit(auth->worker, &check->chore);
	return check;
}

struct auth_check *auth_check_free(struct auth_check *check)
{
	if (check == NULL)
		return NULL;
	check->handler = NULL;
	if (check->completed)
		release(check);
	else
		worker_abandon(&check->chore);
	return NULL;
}

double auth_delay(struct auth *auth, double now)
{
	double from = auth->last_answer > now ? auth->last_answer : now;
	unsigned ms = FIRST_DELAY_MS;

	if (now - auth->last_answer > FORGET_SECONDS)
		auth->failures = 0;
	for (unsigned i = 0; i < auth->failures && ms < LIMIT_LOGIN_DELAY_MS; i++)
		ms *= 2;
	if (ms > LIMIT_LOGIN_DELAY_MS)
		ms = LIMIT_LOGIN_DELAY_MS;
	auth->failures++;
	auth->last_answer = from + ms / 1000.0;
	/* Nobody waits as long as that. */
	if (auth->last_answer > now + LIMIT_LOGIN_SECONDS)
		auth->last_answer = now + LIMIT_LOGIN_SECONDS;
	return auth->last_answer - now;
}

unsigned auth_failures(const struct auth *auth)
{
	return auth->failures;
}

/* 24 letters and digits that cannot be taken for one another: 120 bits.  False without randomness.
 */
static bool generate(char ret_password[28])
{
	static const char alphabet[32] = "abcdefghjkmnpqrstuvwxyz23456789A";
	uint8_t random[24];
	size_t at = 0;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return false;
	for (size_t i = 0; i < sizeof(random); i++) {
		if (i > 0 && i % 6 == 0)
			ret_password[at++] = '-';
		ret_password[at++] = alphabet[random[i] % sizeof(alphabet)];
	}
	ret_password[at] = '\0';
	OPENSSL_cleanse(random, sizeof(random));
	return true;
}

/* *ret_password stays NULL for an empty file. */
static int read_file(int fd, const char *path, char **ret_password, char **ret_reason)
{
	char text[256];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
		*ret_reason = xasprintf(
			"%s must be a file of yours that nobody else may read (mode 0600)", path);
		return -EPERM;
	}
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	if (text[0] != '\0')
		*ret_password = xstrdup(text);
	OPENSSL_cleanse(text, sizeof(text));
	return 0;
}

static int create_password(int folder, const char *name, char **ret_password)
{
	char password[28], line[32];
	int r;

	if (!generate(password))
		return -EIO;
	memcpy(stpcpy(line, password), "\n", 2);
	r = folder_write_file(folder, name, line, strlen(line));
	if (r == 0)
		*ret_password = xstrdup(password);
	OPENSSL_cleanse(password, sizeof(password));
	OPENSSL_cleanse(line, sizeof(line));
	return r;
}

int auth_stored_password(const char *path, char **ret_password, bool *ret_is_new, char **ret_reason)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	_cleanup_close_ int folder = folder_open_parent(path, FOLDER_OF_USER, ret_reason);
	_cleanup_close_ int fd = -1;
	char *password = NULL, *reason = NULL;
	bool is_new;
	int r;

	if (folder < 0)
		return folder;
	fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	r = fd < 0 ? -errno : read_file(fd, path, &password, &reason);
	is_new = password == NULL && (r == 0 || r == -ENOENT);
	if (is_new)
		r = create_password(folder, name, &password);
	if (r < 0) {
		if (reason == NULL)
			reason = xasprintf(
				"cannot keep the clients' password in %s: %s", path, strerror(-r));
		*ret_reason = reason;
		return r;
	}
	*ret_password = password;
	*ret_is_new = is_new;
	return 0;
}
