"""Valid messages and connections, and what becomes of them by chance; a number gives the same one each time."""

from random import Random

from tests.hostile.attacks import BODY, RESET
from tests.hostile.frames import (
    ADDED_BLOCK,
    GOAWAY,
    INITIAL_WINDOW_SIZE,
    PING,
    PREFACE,
    PRIORITY,
    block,
    frame,
    headers,
    opening,
    window_update,
)
from vouch.bundle.wire_format import varint
from vouch.protos.inference import inference_pb2 as ip
from vouch.protos.vouch.v1 import classifier_pb2 as pb

IMAGE = bytes(range(16))
EXTREME = [b"", b"\0", b"\x7f", b"\xff" * 9 + b"\x01", b"\xff" * 11, b"\x80" * 5, (2**31).to_bytes(4, "little")]
MAX_DEPTH = 200

RAW = pb.PredictRequest(raw=pb.RawImages(pixels=IMAGE, shape=[1, 4, 4]), top_k=2)
INFER = ip.ModelInferRequest(
    model_name="tiny",
    id="a",
    inputs=[ip.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8", shape=[1, 4, 4])],
    outputs=[ip.ModelInferRequest.InferRequestedOutputTensor(name="logits")],
    parameters={"priority": ip.InferParameter(int64_param=1)},
    raw_input_contents=[IMAGE],
)
TYPED = ip.ModelInferRequest(model_name="tiny")
TYPED.inputs.add(name="images", datatype="UINT8", shape=[1, 4, 4]).contents.uint_contents.extend(IMAGE)
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000040000000408000000008cc98b0a0000000049454e44ae426082")
SEEDS = [
    one.SerializeToString()
    for one in (
        RAW,
        pb.PredictRequest(model="tiny", version=1, raw=RAW.raw, coverage=0.9),
        pb.PredictRequest(encoded=pb.EncodedImages(files=[PNG, b"\xff\xd8\xff"])),
        pb.PredictStreamRequest(id="7", request=RAW),
        pb.GetModelRequest(model="tiny"),
        INFER,
        TYPED,
        ip.ModelMetadataRequest(name="tiny", version="1"),
        ip.RepositoryIndexRequest(ready=True),
        ip.RepositoryModelLoadRequest(model_name="tiny"),
    )
]
CONNECTION = [
    opening((INITIAL_WINDOW_SIZE, 1000)),
    headers(1, ADDED_BLOCK),
    BODY,
    frame(PING, bytes(8)),
    headers(3),
    window_update(100, 3),
    frame(PRIORITY, bytes(5), 5),
    headers(5, block("/inference.GRPCInferenceService/ServerLive")),
    RESET[:8] + b"\x05" + RESET[9:],
    BODY[:8] + b"\x03" + BODY[9:],
    window_update(1),
    frame(GOAWAY, bytes(8)),
]


def mutated(random: Random, content: bytes) -> bytes:
    """The same with one to four changes."""
    for _ in range(random.randint(1, 4)):
        start = random.randrange(len(content) + 1)
        stop = min(len(content), start + random.choice((0, 1, 1, 2, 4, 16)))
        part = content[start:stop]
        change = random.randrange(7)
        if change == 0 and part:
            part = bytes([part[0] ^ 1 << random.randrange(8)]) + part[1:]
        elif change == 1:
            part = random.randbytes(random.randrange(8))
        elif change == 2:
            part *= random.randint(2, 30)
        elif change == 3:
            part = random.choice(EXTREME)
        elif change == 4:
            part = random.choice(SEEDS)
        elif change == 5:
            return content[:start]
        content = content[:start] + part + content[stop:]
    return content


def nested(random: Random) -> bytes:
    """A field in a field in a field."""
    content, number = random.choice(SEEDS), random.randint(1, 8)
    for _ in range(random.randrange(MAX_DEPTH)):
        content = varint(number << 3 | 2) + varint(len(content)) + content
    return content


def message(random: Random) -> bytes:
    """A request of some kind, or what was one."""
    kind = random.randrange(10)
    if kind == 0:
        return random.randbytes(random.randrange(200))
    if kind == 1:
        return nested(random)
    return mutated(random, random.choice(SEEDS))


def connection(random: Random) -> bytes:
    """All that a client says, from a valid start on mostly; frames change, and their order at times."""
    begin, *others = CONNECTION
    if random.random() < 0.1:
        return mutated(random, b"".join(CONNECTION))
    if random.random() < 0.1:
        random.shuffle(others)
    if random.random() < 0.3:
        begin = PREFACE + mutated(random, begin[len(PREFACE) :])
    return begin + b"".join(mutated(random, one) if random.random() < 0.3 else one for one in others)
