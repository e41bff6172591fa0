/* SPDX-License-Identifier: MIT */
#include "sync/tree/tree.h"

#include <stdlib.h>

#include "sync/tree/tree-private.h"

void tree_init(struct tree *tree, struct core *core, struct barrier *barrier)
{
	*tree = (struct tree){.core = core, .barrier = barrier};
	core->tree = tree;
}

void tree_done(struct tree *tree)
{
	listing_clear(&tree->local);
	listing_clear(&tree->remote);
	edit_done(tree);
	free(tree->plan);
	free(tree->failed);
}
