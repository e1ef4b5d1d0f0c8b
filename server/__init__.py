"""Serves the bundles of a models folder: bundle -> session -> batcher -> services -> transport -> worker.

Meets the trainer in the bundle only; knows neither torch nor onnx.
"""
