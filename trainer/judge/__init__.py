"""Evaluates the fitted weights: the exported graph, its answers, calibration, quantization, the claim."""
