"""Requests with known answers for all servers, and checks of a server's answers under load."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import onnxruntime as ort

from benchmarks.serving.asking import Unanswered, asking
from benchmarks.serving.contenders import Contender
from vouch.bundle.opening import Bundle
from vouch.protos.inference import inference_pb2 as pb

SAMPLE_EVERY_S = 0.05
FRAME_BYTES = 5
"""In front of a message of gRPC."""


@dataclass(frozen=True, eq=False)
class Question:
    """A batch of real images, as an Open Inference request."""

    images: np.ndarray
    message: bytes
    labels: np.ndarray
    """What bare ONNX Runtime answers, shape (N,)."""

    def asked_of(self, contender: Contender) -> bytes:
        """The request as this contender takes it."""
        return contender.form.body(self.images) if contender.form else self.message

    def is_right(self, answer: bytes, contender: Contender) -> bool:
        """Whether this contender's answer is that of the model."""
        if contender.echoes:
            return answer == self.message
        if contender.form:
            return self._are_right(contender.form.probabilities(answer))
        return self.is_answered_by(answer)

    def _are_right(self, probabilities: np.ndarray) -> bool:
        """Whether these rows name the right labels."""
        fits = len(probabilities) and len(probabilities) % len(self.labels) == 0
        return bool(fits and (probabilities.reshape(len(self.labels), -1).argmax(axis=1) == self.labels).all())

    def is_answered_by(self, response: bytes) -> bool:
        """Whether these are the right labels, as an Open Inference response."""
        answer = pb.ModelInferResponse.FromString(response)
        names = [tensor.name for tensor in answer.outputs]
        row = names.index("probabilities")
        if answer.raw_output_contents:
            values = np.frombuffer(answer.raw_output_contents[row], np.float32)
        else:
            values = np.array(answer.outputs[row].contents.fp32_contents, np.float32)
        return self._are_right(values)


def question(bundle: Bundle, session: ort.InferenceSession, batch: int) -> Question:
    """The first images of the bundle's validation split, as often as they are needed."""
    images = np.resize(bundle.read_validation().images, (batch, *bundle.manifest.input.shape))
    labels = session.run(["probabilities"], {"images": images})[0].argmax(axis=1)
    return Question(images, infer(bundle.manifest.name, "images", "UINT8", images.shape, images.tobytes()), labels)


def infer(name: str, tensor: str, kind: str, shape: Sequence[int], content: bytes) -> bytes:
    """An Open Inference request with one tensor."""
    given = pb.ModelInferRequest.InferInputTensor(name=tensor, datatype=kind, shape=shape)
    return pb.ModelInferRequest(model_name=name, inputs=[given], raw_input_contents=[content]).SerializeToString()


@dataclass
class Sampled:
    """Answers that were looked at during a load."""

    right: int = 0
    wrong: int = 0
    failures: list[str] = field(default_factory=list)
    frame_bytes: int = 0
    """Of the last one, as it is sent."""


def looked_at(address: str, asked: Question, contender: Contender) -> Sampled:
    """One answer, beside no load.

    Raises:
        Unanswered: there was none.
    """
    with asking(address, contender.form) as ask:
        answer = ask(asked.asked_of(contender), 30)
    right = asked.is_right(answer, contender)
    return Sampled(int(right), int(not right), [], len(answer) + (0 if contender.form else FRAME_BYTES))


@contextmanager
def sampling(address: str, asked: Question, contender: Contender) -> Iterator[Sampled]:
    """Asks now and then, beside the load, and looks at the answers."""
    sampled, over, message = Sampled(), threading.Event(), asked.asked_of(contender)

    def look() -> None:
        with asking(address, contender.form) as ask:
            while not over.wait(SAMPLE_EVERY_S):
                try:
                    answer = ask(message, 30)
                except Unanswered as err:
                    sampled.failures.append(str(err))
                    continue
                right = asked.is_right(answer, contender)
                sampled.right, sampled.wrong = sampled.right + right, sampled.wrong + (not right)
                sampled.frame_bytes = len(answer) + (0 if contender.form else FRAME_BYTES)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield sampled
    finally:
        over.set()
        thread.join(60)
