"""A prediction with Triton's HTTP client: python examples/call/predict_triton.py localhost:8081 pets cat.jpg

It sends pixels, so it must resize the image and convert its colours for the model. Vouch's own client sends the file.
"""

import sys

import numpy as np
from PIL import Image
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

server, model, file = sys.argv[1:]
client = InferenceServerClient(server, connection_timeout=30, network_timeout=30)
_, height, width, *channels = client.get_model_metadata(model)["inputs"][0]["shape"]
image = Image.open(file).convert("RGB" if channels else "L").resize((width, height))
pixels = np.asarray(image)[np.newaxis]
images = InferInput("images", list(pixels.shape), "UINT8")
images.set_data_from_numpy(pixels)
best = InferRequestedOutput("probabilities", class_count=1)
result = client.infer(model, [images], outputs=[best])
probability, _, label = result.as_numpy("probabilities").flatten()[0].decode().split(":", 2)
print(f"{label} {float(probability):.3f}")
