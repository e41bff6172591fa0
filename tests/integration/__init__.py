# SPDX-License-Identifier: MIT
"""Real servers, a raw IMAP client and relays: what the integration and model tests stand on."""
