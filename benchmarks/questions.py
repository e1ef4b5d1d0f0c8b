"""Requests with known answers: what every server is asked, and whether it answers right while it is under load."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import onnxruntime as ort

from benchmarks.contenders import INFER
from vouch.bundle.opening import Bundle
from vouch.protos.inference import inference_pb2 as pb

SAMPLE_EVERY_S = 0.05


@dataclass(frozen=True, eq=False)
class Question:
    """A batch of real images, as an Open Inference request."""

    images: np.ndarray
    message: bytes
    labels: np.ndarray
    """What bare ONNX Runtime answers, shape (N,)."""

    def is_answered_by(self, response: bytes) -> bool:
        """Whether these are the right labels."""
        answer = pb.ModelInferResponse.FromString(response)
        names = [tensor.name for tensor in answer.outputs]
        row = names.index("probabilities")
        if answer.raw_output_contents:
            values = np.frombuffer(answer.raw_output_contents[row], np.float32)
        else:
            values = np.array(answer.outputs[row].contents.fp32_contents, np.float32)
        return bool((values.reshape(len(self.labels), -1).argmax(axis=1) == self.labels).all())


def question(bundle: Bundle, session: ort.InferenceSession, batch: int) -> Question:
    """The first images of the bundle's validation split, as often as they are needed."""
    images = np.resize(bundle.read_validation().images, (batch, *bundle.manifest.input.shape))
    tensor = pb.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8", shape=images.shape)
    request = pb.ModelInferRequest(
        model_name=bundle.manifest.name, inputs=[tensor], raw_input_contents=[images.tobytes()]
    )
    labels = session.run(["probabilities"], {"images": images})[0].argmax(axis=1)
    return Question(images, request.SerializeToString(), labels)


@dataclass
class Sampled:
    """Answers that were looked at during a load."""

    right: int = 0
    wrong: int = 0
    failures: list[str] = field(default_factory=list)
    answer_bytes: int = 0
    """Of the last one."""


@contextmanager
def sampling(address: str, asked: Question, echoes: bool) -> Iterator[Sampled]:
    """Asks now and then, beside the load, and looks at the answers.

    Args:
        echoes: the right answer is the request itself.
    """
    sampled, over = Sampled(), threading.Event()

    def ask() -> None:
        with grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
            call: Any = channel.unary_unary(INFER)
            while not over.wait(SAMPLE_EVERY_S):
                try:
                    response = call(asked.message, timeout=30)
                except grpc.RpcError as err:
                    sampled.failures.append(str(err.code()))
                    continue
                right = response == asked.message if echoes else asked.is_answered_by(response)
                sampled.right, sampled.wrong = sampled.right + right, sampled.wrong + (not right)
                sampled.answer_bytes = len(response)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield sampled
    finally:
        over.set()
        thread.join(60)
