# SPDX-License-Identifier: MIT
"""What a random history begins with."""

import os
import random


def seed(otherwise):
    """$MODEL_SEED: a number, or "random", which `tests/run full` says.  Without it, `otherwise`, so
    that what fails in `tests/run` is what was changed."""
    given = os.environ.get("MODEL_SEED", str(otherwise))
    return random.SystemRandom().randrange(1, 10 ** 9) if given == "random" else int(given)
