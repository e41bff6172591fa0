/* SPDX-License-Identifier: MIT */
/*
 * Copies the messages in a run's `items` from one side to the other: bodies are asked for within a
 * credit of bytes, land in spools, and are appended; an intent is committed before each APPEND
 * leaves, and replaced by the mapping when its APPENDUID comes.
 *
 * Nobody ever stops reading a connection to push back: with copies both ways each server would wait
 * for us to read.  What is asked for is limited instead.  A message larger than a spool holds in
 * memory is passed on while it arrives.
 */
#ifndef INTERIMAP_CARRY_COPY_H
#define INTERIMAP_CARRY_COPY_H

#include "sync/run/run.h"

/* A copier in the side whose new messages it copies; the items must be sorted. */
void copier_begin(struct copier *copier, struct run_side *source);
void copier_done(struct copier *copier);
/* Issues what can be issued now; true when all is done. */
bool copier_advance(struct copier *copier);

#endif
