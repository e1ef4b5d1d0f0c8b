"""Serves the bundles of a models folder: bundle -> session -> batcher -> services -> transport -> worker.

Meets the trainer in the bundle only; knows neither torch nor onnx.
"""

import os

# Read by these libraries when they are imported, so it has to come before all other imports of the server.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # we only spawn; its handlers log a line at every probe
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # it would look through all installed packages for some
