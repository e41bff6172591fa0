# SPDX-License-Identifier: MIT
"""Random histories of two accounts, and what must come of them."""
