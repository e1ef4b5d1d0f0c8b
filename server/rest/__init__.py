"""HTTP without gRPC on the same port: REST with the same methods, the same life of a call and the same budget."""
