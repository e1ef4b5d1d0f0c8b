"""Serves the bundles of a models folder: bundle -> session -> batcher -> services -> transport -> worker.

Meets the trainer in the bundle only; knows neither torch nor onnx.
"""

import os

# These libraries read the variables when they are imported, so this comes before all other imports of the server.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # processes are spawned; its fork handlers would log a line
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # it would search all installed packages for plugins
