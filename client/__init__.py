"""The client: a Python class for programs, and the commands that call a server.

from vouch import Client

with Client("localhost:8081") as client:
    for prediction in client.predict(["new.jpg", "other.png"]):  # or their bytes, or arrays of uint8 pixels
        print(prediction.label, prediction.probability)
"""

from vouch.client.client import AsyncClient, Client
from vouch.client.errors import CallFailed, UnusableCertificate
from vouch.client.messages import Evaluation, Prediction, Predictions
from vouch.client.models import Model, ModelVersion
from vouch.client.tls import Tls

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
]
