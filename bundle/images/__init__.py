"""Encoded images of each kind: a file's kind, the parts that make pixels, and the cost of decoding."""
