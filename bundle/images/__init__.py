"""Encoded images, kind by kind: what a file is, what of it makes pixels, and what decoding it will cost."""
