"""The format on disk: a bundle's content, how it is published, and how its claim is recounted.

Knows neither torch nor onnxruntime nor grpc, and none of the programs.
"""
