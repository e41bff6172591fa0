# SPDX-License-Identifier: MIT
SCENARIOS = ()
