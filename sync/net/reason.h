/* SPDX-License-Identifier: MIT */
#ifndef INTERIMAP_NET_REASON_H
#define INTERIMAP_NET_REASON_H

/*
 * What a negative errno means to the person who reads it, to be put after a colon: "connection
 * refused".  The caller frees it.
 */
char *reason_errno(int error);

#endif
