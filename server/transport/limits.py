"""Limits that hold over every transport."""

MAX_CONCURRENT_STREAMS = 1024
"""Calls of one connection at once."""
