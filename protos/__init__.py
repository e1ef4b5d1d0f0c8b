"""The contract on the wire: .proto files, and the code that `make protos` generates from them beside them."""
