"""The contract on disk: what a bundle holds, how it is published, how anybody recounts its claim.

Knows neither torch nor onnxruntime nor grpc, and none of the programs.
"""
