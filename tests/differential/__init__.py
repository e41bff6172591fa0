# SPDX-License-Identifier: MIT
"""Our program and the Perl interimap, side by side on the same scenarios."""
