"""Divides the examples into fit, tune and validation: stratified, and without the same image on both sides."""
