"""Open Inference Protocol v2 and Triton's extensions."""
