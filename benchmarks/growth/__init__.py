"""How cost grows with the work: each curve from its smallest size to its largest, every point a process of its own."""
