# SPDX-License-Identifier: MIT
"""The crash matrix: scenarios as data, each with a death, a cut or a fault at every step."""
