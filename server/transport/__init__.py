"""HTTP/2 by other people: h2corn and grpcio. Knows tables of methods, and neither models nor services."""
