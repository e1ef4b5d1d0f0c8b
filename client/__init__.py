"""The client: a Python class for programs, and the commands that call a server.

from client import Client

with Client("localhost:8081") as client:
    for prediction in client.predict(images):  # uint8, shape (N, H, W) or (N, H, W, C), or PNG/JPEG bytes
        print(prediction.label, prediction.probability)
"""

from client.client import AsyncClient, Client
from client.errors import CallFailed
from client.messages import Evaluation, Model, Prediction, Predictions

__all__ = ["AsyncClient", "CallFailed", "Client", "Evaluation", "Model", "Prediction", "Predictions"]
