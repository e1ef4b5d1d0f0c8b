"""Compares published models. Needs no torch."""
