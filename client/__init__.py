"""The client: a Python class for programs, and the commands that call a server.

from client import Client

with Client("localhost:8081") as client:
    for prediction in client.predict(images):  # uint8, shape (N, H, W) or (N, H, W, C), or PNG/JPEG bytes
        print(prediction.label, prediction.probability)
"""

from client.client import AsyncClient, Client
from client.errors import CallFailed, UnusableCertificate
from client.messages import Evaluation, Model, Prediction, Predictions
from client.tls import Tls

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
