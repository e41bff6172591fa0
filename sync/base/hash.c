/* SPDX-License-Identifier: MIT */
#include "sync/base/hash.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct state {
	uint64_t v[4];
};

static uint8_t process_key[16];

__attribute__((constructor)) static void make_key(void)
{
	size_t have = 0;

	while (have < sizeof(process_key)) {
		ssize_t n = getrandom(process_key + have, sizeof(process_key) - have, 0);

		if (n > 0)
			have += (size_t)n;
		else if (n == 0 || errno != EINTR)
			abort();
	}
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void mix(struct state *s)
{
	s->v[0] += s->v[1];
	s->v[2] += s->v[3];
	s->v[1] = rotate(s->v[1], 13) ^ s->v[0];
	s->v[3] = rotate(s->v[3], 16) ^ s->v[2];
	s->v[0] = rotate(s->v[0], 32);
	s->v[2] += s->v[1];
	s->v[0] += s->v[3];
	s->v[1] = rotate(s->v[1], 17) ^ s->v[2];
	s->v[3] = rotate(s->v[3], 21) ^ s->v[0];
	s->v[2] = rotate(s->v[2], 32);
}

/* Up to 8 bytes, little-endian. */
static uint64_t load(const uint8_t *bytes, size_t n)
{
	uint64_t word = 0;

	memcpy(&word, bytes, n);
	return le64toh(word);
}

static void take_word(struct state *s, uint64_t word)
{
	s->v[3] ^= word;
	mix(s);
	s->v[0] ^= word;
}

uint64_t hash_siphash13(const uint8_t key[16], const void *data, size_t n)
{
	uint64_t k0 = load(key, 8), k1 = load(key + 8, 8);
	struct state s = {{
		k0 ^ 0x736f6d6570736575U,
		k1 ^ 0x646f72616e646f6dU,
		k0 ^ 0x6c7967656e657261U,
		k1 ^ 0x7465646279746573U,
	}};
	const uint8_t *at = data;
	size_t left = n;

	for (; left >= 8; at += 8, left -= 8)
		take_word(&s, load(at, 8));
	take_word(&s, (left > 0 ? load(at, left) : 0) | (uint64_t)n << 56);
	s.v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		mix(&s);
	return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}

uint32_t hash_bytes(const void *data, size_t n)
{
	return (uint32_t)hash_siphash13(process_key, data, n);
}
