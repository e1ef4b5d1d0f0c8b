"""Pretrained networks, unchanged: images in, features out."""
