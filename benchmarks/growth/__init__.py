"""How cost grows with the work: each curve from its smallest size to its largest, each point in a separate process."""
