/* SPDX-License-Identifier: MIT */
/*
 * Hash tables: uthash with a hash function that nobody outside the process can predict.  Keys come
 * from peers (names of mailboxes, flags), and with a function that is known a list of 3 MB can put
 * all of them into one bucket.  So <uthash.h> is included from here only (tests/lint/layers.py).
 */
#ifndef INTERIMAP_BASE_HASH_H
#define INTERIMAP_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* SipHash-1-3 of n bytes; the key is the process's own, made when it starts. */
uint32_t hash_bytes(const void *data, size_t n);
/* The same with a given key of 16 bytes, whole. */
uint64_t hash_siphash13(const uint8_t key[16], const void *data, size_t n);

#define HASH_FUNCTION(key_, len_, ret_) ((ret_) = hash_bytes((key_), (len_)))
#define uthash_fatal(msg_) abort()

#include <uthash.h> // IWYU pragma: export

#endif
