"""The multi-exit networks, one family per file."""
