"""Counters that never decrease: of a version, of a worker, of all workers. Knows no model, protocol or process."""
