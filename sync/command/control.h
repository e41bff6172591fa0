/* SPDX-License-Identifier: MIT */
/*
 * The control socket of a service: commands that want the database of an account ask the one that
 * holds it (control-wire.h says how), and are carried out by its engine (engine/order.h).
 */
#ifndef INTERIMAP_COMMAND_CONTROL_H
#define INTERIMAP_COMMAND_CONTROL_H

struct account;
struct control;
struct engine;
struct loop;

/* Whoever knows how many mail clients are connected. */
struct client_counter {
	unsigned (*count)(struct client_counter *counter);
};

/*
 * Listens.  The counter (which may be NULL) and the account are borrowed, and must outlive it.
 * Failure is no reason not to serve: NULL, with a sentence in *ret_reason that the caller frees.
 */
struct control *control_new(struct loop *loop, struct engine *engine, const struct account *account,
	struct client_counter *counter, char **ret_reason);
/* The socket is gone.  After engine_free(), which forgets the orders.  Accepts NULL. */
struct control *control_free(struct control *control);

#endif
