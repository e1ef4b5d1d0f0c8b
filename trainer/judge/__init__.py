"""What the fitted weights are worth: the exported graph, its answers, calibration, quantization, the claim."""
