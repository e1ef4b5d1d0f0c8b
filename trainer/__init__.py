"""Fits a classifier to labelled images and publishes it: data -> split -> model -> fit -> export -> validate -> bundle.

Meets the server in the bundle only; knows nothing of gRPC.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime reads it on import, so it must be set first
