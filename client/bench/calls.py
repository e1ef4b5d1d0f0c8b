"""Calls with little overhead: requests are made once per batch size, and sent as bytes over several connections.

Every answer is compared with the reference. Retries are off, because they would hide failures.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np

from vouch.client.bench.images import Reference, answer_of
from vouch.client.bench.load import RIGHT, WRONG, Send
from vouch.client.channel_options import CHANNEL_OPTIONS
from vouch.client.errors import CallFailed, call_failed
from vouch.client.messages import predict_request, read_predictions
from vouch.client.models import ModelVersion
from vouch.client.tls import Options, Tls, async_channels
from vouch.protos.vouch.v1 import classifier_pb2 as pb

CONNECTIONS = 4
METHOD = f"/{pb.DESCRIPTOR.services_by_name['Classifier'].full_name}/Predict"
OPTIONS: Options = [
    *(option for option in CHANNEL_OPTIONS if option[0] not in ("grpc.service_config", "grpc.enable_retries")),
    ("grpc.enable_retries", 0),
]
COUNTED = {
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
}
"""Errors that a server may return under load. Any other error would repeat for every call: it ends the measurement."""


@dataclass(frozen=True)
class Request:
    """A serialized request, with the reference answers to it."""

    content: bytes
    rows: tuple[int, ...]
    """Positions of its images in the reference."""
    labels: list[str]
    """One per image; empty for a multi-label model."""


def requests_of(reference: Reference, batch_size: int, model: ModelVersion) -> list[Request]:
    """Requests of this many images. Each begins at another image, so that mixed-up rows are noticed.

    If a batch is larger than the reference, images repeat.
    """
    total = len(reference.images)
    single = model.task == "single_label"
    requests = []
    for start in range(0, total, max(1, min(batch_size, total // 4))):
        rows = (start + np.arange(batch_size)) % total
        message = predict_request(reference.images[rows], model.name, model.version)
        labels = [reference.answers[row][0] for row in rows] if single else []
        requests.append(Request(message.SerializeToString(), tuple(rows.tolist()), labels))
    return requests


class Calls:
    """Connections to one server, for one version of a model. Made and used within one event loop."""

    def __init__(
        self, server: str, timeout_s: float, model: ModelVersion, reference: Reference, tls: Tls | None = None
    ) -> None:
        """
        Args:
            timeout_s: the deadline of a call.
            model: the version to call; if another version replaces it meanwhile, calls fail with NOT_FOUND.
            tls: None for plaintext.
        """
        self._server = server
        self._timeout_s = timeout_s
        self._model = model
        self._reference = reference
        self._tls = tls
        self._open = AsyncExitStack()
        self._predict: list[Any] = []
        self._answers = self._wrong = 0
        self._first_wrong = ""

    async def __aenter__(self) -> Self:
        open_channel = async_channels(self._server, OPTIONS, self._tls)
        for _ in range(CONNECTIONS):
            channel = await self._open.enter_async_context(open_channel())
            self._predict.append(channel.unary_unary(METHOD))  # no serializer: bytes in, bytes out
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    @property
    def wrong(self) -> str:
        """A sentence about the answers that differ from the reference so far; empty if none does."""
        if not self._wrong:
            return ""
        return (
            f"{self._wrong:,} of {self._answers:,} images got another answer than when each was sent alone; "
            f"the first: {self._first_wrong}"
        )

    def of(self, batch_size: int) -> Send:
        """A `load.Send` that makes calls with this many images each.

        It raises CallFailed if the server cannot be reached any more, or would refuse every further call.
        """
        requests = requests_of(self._reference, batch_size, self._model)

        async def send(number: int) -> str:
            request = requests[number % len(requests)]
            try:
                raw = await self._predict[number % CONNECTIONS](request.content, timeout=self._timeout_s)
            except grpc.aio.AioRpcError as err:
                return self._reason(err)
            return RIGHT if self._is_right(raw, request) else WRONG

        return send

    def _reason(self, err: grpc.aio.AioRpcError) -> str:
        code, details = err.code(), err.details() or ""
        if code is grpc.StatusCode.UNAVAILABLE:
            raise CallFailed(f"{self._server} stopped responding during the measurement: {details}", code) from err
        if code not in COUNTED or "larger than max" in details:
            raise call_failed(err, self._server) from err
        return code.name

    def _is_right(self, raw: bytes, request: Request) -> bool:
        response = pb.PredictResponse.FromString(raw)
        self._answers += len(request.rows)
        if request.labels and list(response.labels) == request.labels:
            return True
        given = [answer_of(one) for one in read_predictions(response)]
        given += [()] * (len(request.rows) - len(given))
        before = [self._reference.answers[row] for row in request.rows]
        wrong = [(was, now) for was, now in zip(before, given, strict=False) if was != now]
        if wrong and not self._first_wrong:
            was, now = (", ".join(labels) or "no label" for labels in wrong[0])
            self._first_wrong = f"{was} alone, but {now} in a batch of {len(request.rows)}"
        self._wrong += len(wrong)
        return not wrong
