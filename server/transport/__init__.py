"""HTTP/2 by two libraries, h2corn and grpcio. Knows tables of methods, but neither models nor services."""
