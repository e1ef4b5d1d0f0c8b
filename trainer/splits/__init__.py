"""What the examples are divided into: fit, tune and validation, evenly, and without the same image on both sides."""
