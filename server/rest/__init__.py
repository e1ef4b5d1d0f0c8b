"""HTTP without gRPC on the same port: REST over the same methods, the same life of a call and the same budget."""
