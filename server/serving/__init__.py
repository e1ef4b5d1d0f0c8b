"""What a worker serves now: catalog, gate, readiness. Knows no protocol and no transport."""
