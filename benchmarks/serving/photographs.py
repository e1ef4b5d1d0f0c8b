"""Photographs as users send them: from JPEG files to answers, compared with Triton, which decodes in Python.

Files of 500 x 375 are made from those in a folder, with a camera's noise, and sent one per call by 16 callers.
Every answer is compared with that of the bundle's own decoding and bare ONNX Runtime.
"""

import io
import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from PIL import Image

from benchmarks.peers.peer import ROOT, SERVED_AS
from benchmarks.peers.triton import triton
from benchmarks.serving.asking import INFER
from benchmarks.serving.bundles import bare_session
from benchmarks.serving.contenders import STARTS, Contender, default_vouch, peer, running
from benchmarks.serving.questions import infer
from benchmarks.serving.rows import PhotoRow, say
from benchmarks.serving.streams import PREDICT
from vouch.bundle.opening import Bundle
from vouch.bundle.pixels import decode
from vouch.protos.inference import inference_pb2 as oip
from vouch.protos.vouch.v1 import classifier_pb2 as pb

SIZE, FILES = (500, 375), 24
"""Width and height, and how many different photographs there are."""
NOISE = 6.0
"""Standard deviation of a camera's noise, of 255."""
CALLERS, WITHIN_S = 16, 60.0
WARM_UP_S = 1.0
MODEL_PY = ROOT / "benchmarks" / "peers" / "programs" / "triton_photographs.py"


@dataclass(frozen=True)
class Side:
    """A server, and how it is asked about a file."""

    contender: Contender
    path: str
    request: Callable[[str, bytes], bytes]
    """(name of the model, file) -> message."""
    label: Callable[[bytes, Sequence[str]], str]
    """(answer, all labels) -> the first."""
    ready: Callable[[Bundle, bytes], bytes]
    """(bundle, file) -> a call of ModelInfer, which says that it has started."""


@dataclass(frozen=True)
class Photograph:
    """A file, and what the model says of it."""

    file: bytes
    label: str


def sides(with_triton: bool) -> list[Side]:
    """Vouch with default settings; Triton with an instance for each core."""
    found = [Side(default_vouch(), PREDICT, of_vouch, label_of_vouch, pixels_of_vouch)]
    if with_triton:
        one = peer(triton(max(2, len(os.sched_getaffinity(0))), MODEL_PY))
        found.append(Side(one, INFER, of_triton, label_of_triton, lambda _, file: of_triton("", file)))
    return found


def photographs(bundle: Bundle, source: Path) -> list[Photograph]:
    """Made of those in a folder, from all parts of it, each with the label that the model gives it in this process."""
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    chosen = paths[:: max(1, len(paths) // FILES)][:FILES]
    files = [enlarged(path, seed) for seed, path in enumerate(chosen)]
    session, labels = bare_session(bundle), bundle.manifest.labels
    images = [decode(file, bundle.manifest.input)[None] for file in files]
    best = [session.run(["probabilities"], {"images": one})[0][0].argmax() for one in images]
    return [Photograph(file, labels[int(each)]) for file, each in zip(files, best, strict=True)]


def enlarged(path: Path, seed: int) -> bytes:
    """A JPEG file of it."""
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC))
    noise = np.random.default_rng(seed).standard_normal(pixels.shape, np.float32) * NOISE
    file = io.BytesIO()
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()


def photographed(side: Side, bundle: Bundle, asked: Sequence[Photograph], number: int, seconds: float) -> PhotoRow:
    """A server under load, once. One that ends is started again."""
    name, labels = side.contender.name, bundle.manifest.labels
    file_kb = round(float(np.mean([len(one.file) for one in asked])) / 1000)
    messages = [(side.request(bundle.manifest.name, one.file), one.label) for one in asked]
    problem = ""
    for _ in range(STARTS):
        try:
            with running(side.contender, bundle.path, side.ready(bundle, asked[0].file)) as server:
                load(server.address, side, messages, labels, WARM_UP_S)
                before = server.usage()
                speed, done, wrong = load(server.address, side, messages, labels, seconds)
                cpu_s = server.usage().cpu_s - before.cpu_s
        except (RuntimeError, grpc.RpcError) as err:
            problem = str(err)
            say(f"photographs, {name}: {problem}")
            continue
        problem = f"{wrong} of {done} labels are wrong" if wrong or not done else ""
        say(f"photographs, round {number + 1}, {name}: {speed:.1f} {problem}".strip())
        return PhotoRow(name, number, file_kb, speed, cpu_s / max(1, done) * 1000, problem)
    return PhotoRow(name, number, file_kb, 0.0, problems=problem)


def load(
    address: str, side: Side, messages: Sequence[tuple[bytes, str]], labels: Sequence[str], seconds: float
) -> tuple[float, int, int]:
    """Images a second, how many, and how many had another label than expected."""
    began, turn, taking = time.monotonic(), itertools.cycle(messages), threading.Lock()

    def calls(channel: grpc.Channel) -> tuple[int, int]:
        call: Any = channel.unary_unary(side.path)
        done = wrong = 0
        while time.monotonic() < began + seconds:
            with taking:
                message, label = next(turn)
            wrong += side.label(call(message, timeout=WITHIN_S), labels) != label
            done += 1
        return done, wrong

    with grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)]) as channel:
        with ThreadPoolExecutor(CALLERS) as pool:
            counts = list(pool.map(calls, [channel] * CALLERS))
        took = time.monotonic() - began
    done = sum(one for one, _ in counts)
    return done / took, done, sum(wrong for _, wrong in counts)


def of_vouch(name: str, file: bytes) -> bytes:
    """A call of Predict."""
    return pb.PredictRequest(model=name, encoded=pb.EncodedImages(files=[file])).SerializeToString()


def label_of_vouch(answer: bytes, _: Sequence[str]) -> str:
    return str(pb.PredictResponse.FromString(answer).labels[0])


def pixels_of_vouch(bundle: Bundle, file: bytes) -> bytes:
    """The same image as pixels."""
    settings = bundle.manifest.input
    return infer(bundle.manifest.name, "images", "UINT8", (1, *settings.shape), decode(file, settings).tobytes())


def of_triton(_: str, file: bytes) -> bytes:
    """A call of ModelInfer with a file."""
    return infer(SERVED_AS, "files", "BYTES", (1, 1), len(file).to_bytes(4, "little") + file)


def label_of_triton(answer: bytes, labels: Sequence[str]) -> str:
    (values,) = oip.ModelInferResponse.FromString(answer).raw_output_contents
    return labels[int(np.frombuffer(values, np.float32).argmax())]
