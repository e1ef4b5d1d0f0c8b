"""Counters that never go down: of a version, of a worker, of all. Knows no model, protocol or process."""
