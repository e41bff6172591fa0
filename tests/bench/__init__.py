# SPDX-License-Identifier: MIT
"""How fast the program is beside others that do the same."""
