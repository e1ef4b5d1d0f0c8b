"""Photographs as people send them, beside a peer."""
