"""The client: a Python class for programs, and the commands that call a server.

from vouch.client import Client

with Client("localhost:8081") as client:
    for prediction in client.predict(images):  # uint8, shape (N, H, W) or (N, H, W, C), or PNG/JPEG bytes
        print(prediction.label, prediction.probability)
"""

from vouch.client.client import AsyncClient, Client
from vouch.client.errors import CallFailed, UnusableCertificate
from vouch.client.messages import Evaluation, Model, Prediction, Predictions
from vouch.client.tls import Tls

__all__ = [
    "AsyncClient",
    "CallFailed",
    "Client",
    "Evaluation",
    "Model",
    "Prediction",
    "Predictions",
    "Tls",
    "UnusableCertificate",
]
