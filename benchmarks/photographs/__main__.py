"""Photographs as people send them: from JPEG files to answers, beside Triton, which decodes in its Python backend.

    python -m benchmarks.photographs --photos ../shared/data/insects

A backbone with a head is trained on the photographs in the folder, and served with default settings. The same
photographs are made as large as people send them, with a camera's noise, and sent one a call by 16 callers; the servers
take turns. Every answer is compared with that of the model in this process. The figures go to
docs/measured/photographs.json.
"""

import argparse
import io
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import grpc
import numpy as np
from PIL import Image

from benchmarks.many_photos import SUFFIXES
from benchmarks.peers.peer import SERVED_AS
from benchmarks.peers.triton import triton
from benchmarks.runs import commit, cpu_flags, keep, machine, run_vouch
from benchmarks.serving.asking import INFER
from benchmarks.serving.bundles import bare_session
from benchmarks.serving.contenders import Contender, default_vouch, peer, running
from vouch.bundle.opening import Bundle, open_bundle
from vouch.bundle.pixels import decode
from vouch.protos.inference import inference_pb2 as oip
from vouch.protos.vouch.v1 import classifier_pb2 as pb

PREDICT = "/vouch.v1.Classifier/Predict"
SIZES = {(500, 375): 24, (4000, 3000): 6}
"""Width and height -> how many photographs are made."""
NOISE = 6.0
"""Standard deviation of a camera's noise, of 255."""
CALLERS, WITHIN_S = 16, 60.0
FLAGS = ("avx2", "avx512f", "avx512_vnni")
TRITON = triton(len(os.sched_getaffinity(0)), Path(__file__).with_name("triton_model.py"))


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


def main() -> int:
    """Prints the table; returns 1 where a label was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of class folders")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    TRITON.install()
    with tempfile.TemporaryDirectory() as folder:
        words = ("--data", str(arguments.photos), "--models", folder, "--name", "photos")
        bundle = open_bundle(Path(run_vouch("train", *words)["bundle"]))
        rows = []
        for size, count in SIZES.items():
            asked = questions(bundle, photographs(arguments.photos, size, count))
            turns = [SIDES if number % 2 == 0 else SIDES[::-1] for number in range(arguments.rounds)]
            rows += [row(size, side, bundle, asked, arguments.seconds) for side in itertools.chain(*turns)]
    print(table(rows))
    keep("photographs", {"machine": machine(), "flags": cpu_flags(FLAGS), "commit": commit(["."]), "rows": rows})
    return int(any(each["wrong"] for each in rows if each["server"] == SIDES[0].contender.name))


def photographs(source: Path, size: tuple[int, int], count: int) -> list[bytes]:
    """JPEG files of this width and height, made of those in a folder, from all parts of it."""
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    return [enlarged(path, size, seed) for seed, path in enumerate(paths[:: max(1, len(paths) // count)][:count])]


def enlarged(path: Path, size: tuple[int, int], seed: int) -> bytes:
    """One of them."""
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    noise = np.random.default_rng(seed).standard_normal(pixels.shape, np.float32) * NOISE
    file = io.BytesIO()
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()


def questions(bundle: Bundle, files: list[bytes]) -> list[tuple[bytes, str]]:
    """Each file, with the label that the model gives it in this process."""
    session, labels = bare_session(bundle), bundle.manifest.labels
    images = [decode(file, bundle.manifest.input)[None] for file in files]
    best = [session.run(["probabilities"], {"images": one})[0][0].argmax() for one in images]
    return [(file, labels[int(each)]) for file, each in zip(files, best, strict=True)]


def row(
    size: tuple[int, int], side: Side, bundle: Bundle, asked: list[tuple[bytes, str]], seconds: float
) -> dict[str, object]:
    """A server under load, once."""
    labels, name = bundle.manifest.labels, bundle.manifest.name
    messages = [(side.request(name, file), label) for file, label in asked]
    with running(side.contender, bundle.path, side.ready(bundle, asked[0][0])) as server:
        load(server.address, side, messages, labels, seconds / 5)
        images_per_s, wrong = load(server.address, side, messages, labels, seconds)
    kilobytes = mean(len(file) for file, _ in asked) / 1000
    found = {"server": side.contender.name, "size": f"{size[0]} x {size[1]}", "file_kb": round(kilobytes)}
    print(f"{found}: {images_per_s:.1f} images/s, {wrong} wrong", file=sys.stderr)
    return found | {"images_per_s": round(images_per_s, 1), "wrong": wrong}


def load(
    address: str, side: Side, messages: list[tuple[bytes, str]], labels: Sequence[str], seconds: float
) -> tuple[float, int]:
    """Images a second, and how many labels were others than expected."""
    began, turn = time.monotonic(), itertools.cycle(messages)

    def calls(channel: grpc.Channel) -> tuple[int, int]:
        call, done, wrong = channel.unary_unary(side.path), 0, 0
        while time.monotonic() < began + seconds:
            message, label = next(turn)
            wrong += side.label(call(message, timeout=WITHIN_S), labels) != label
            done += 1
        return done, wrong

    with grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)]) as channel:
        with ThreadPoolExecutor(CALLERS) as pool:
            counts = list(pool.map(calls, [channel] * CALLERS))
        took = time.monotonic() - began
    return sum(done for done, _ in counts) / took, sum(wrong for _, wrong in counts)


def of_vouch(name: str, file: bytes) -> bytes:
    """A call of Predict."""
    return pb.PredictRequest(model=name, encoded=pb.EncodedImages(files=[file])).SerializeToString()


def label_of_vouch(answer: bytes, _: Sequence[str]) -> str:
    return pb.PredictResponse.FromString(answer).labels[0]


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


def infer(name: str, tensor: str, kind: str, shape: Sequence[int], content: bytes) -> bytes:
    """A call of ModelInfer with one tensor."""
    given = oip.ModelInferRequest.InferInputTensor(name=tensor, datatype=kind, shape=shape)
    return oip.ModelInferRequest(model_name=name, inputs=[given], raw_input_contents=[content]).SerializeToString()


def table(rows: list[dict[str, object]]) -> str:
    """The mean of each server's rounds, and Vouch's of Triton's."""
    lines = ["| photographs | KB | server | images/s | wrong | of Triton |", "|---|---|---|---|---|---|"]
    for size in dict.fromkeys(each["size"] for each in rows):
        of_size = [each for each in rows if each["size"] == size]
        rates: dict[str, float] = {}
        for side in SIDES:
            name = side.contender.name
            rates[name] = mean(float(str(each["images_per_s"])) for each in of_size if each["server"] == name)
        for name, rate in rates.items():
            wrong = sum(int(str(each["wrong"])) for each in of_size if each["server"] == name)
            ratio = rate / rates[SIDES[1].contender.name]
            lines.append(f"| {size} | {of_size[0]['file_kb']} | {name} | {rate:,.1f} | {wrong} | {ratio:.2f} |")
    return "\n".join(lines)


SIDES = (
    Side(default_vouch(), PREDICT, of_vouch, label_of_vouch, pixels_of_vouch),
    Side(peer(TRITON, "Triton"), INFER, of_triton, label_of_triton, lambda _, file: of_triton("", file)),
)

if __name__ == "__main__":
    sys.exit(main())
