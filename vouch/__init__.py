"""Trains an image classifier, exports it to ONNX, serves it over gRPC, and vouches for its accuracy.

from vouch import Client

with Client("localhost:8081") as client:
    for prediction in client.predict(["new.jpg", "other.png"]):  # or their bytes, or arrays of uint8 pixels
        print(prediction.label, prediction.probability)

Programs may import the names in this module. The packages below it are internal and may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vouch.client import (
        AsyncClient,
        CallFailed,
        Client,
        Evaluation,
        Model,
        ModelVersion,
        Prediction,
        Predictions,
        Tls,
        UnusableCertificate,
    )

__version__ = "0.2.0"

__all__ = [
    "AsyncClient",
    "CallFailed",
    "Client",
    "Evaluation",
    "Model",
    "ModelVersion",
    "Prediction",
    "Predictions",
    "Tls",
    "UnusableCertificate",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Loads the client when one of its names is first used: `vouch serve` never needs it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("vouch.client"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
