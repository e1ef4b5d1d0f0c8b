"""Fits a classifier to labelled images and publishes it: data -> split -> model -> fit -> export -> validate -> bundle.

Meets the server in the bundle only; knows nothing of gRPC.
"""
