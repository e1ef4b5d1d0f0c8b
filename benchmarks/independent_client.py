"""Counts a server's right answers with tritonclient, in a separate Python without this project.

    python independent_client.py HOST:PORT MODEL VALIDATION.npz

Prints only the number of right answers.
"""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton

BATCH = 1000


def main() -> None:
    """Sends the images through Open Inference Protocol v2 and holds the labels against the answers."""
    server, model, validation = sys.argv[1:]
    client = triton.InferenceServerClient(server)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(model)
    tensor = client.get_model_metadata(model).inputs[0]
    names = json.loads((Path(validation).parent / "manifest.json").read_bytes())["labels"]
    with np.load(validation) as arrays:
        images = arrays["images"]
    with zipfile.ZipFile(validation) as archive, archive.open("answers.jsonl") as lines:
        labels = np.array([names.index(json.loads(line)["label"]) for line in lines])
    correct = 0
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        given = triton.InferInput(tensor.name, batch.shape, tensor.datatype)
        given.set_data_from_numpy(batch)
        answer = client.infer(model, [given], outputs=[triton.InferRequestedOutput("probabilities")])
        correct += int((answer.as_numpy("probabilities").argmax(axis=1) == labels[start : start + BATCH]).sum())
    print(correct)


if __name__ == "__main__":
    main()
