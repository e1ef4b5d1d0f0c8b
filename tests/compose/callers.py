"""Callers who never pause, and what became of their calls. Each has a connection; nothing is retried by gRPC."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

import grpc
import numpy as np

from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.protos.vouch.v1.classifier_pb2_grpc import ClassifierStub

OPTIONS = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
DEADLINE_S = 10.0


class Callers:
    """Call from `with` to its end."""

    def __init__(self, address: str, callers: int = 4, before_retry: Callable[[], None] | None = None) -> None:
        """
        Args:
            before_retry: returns when a call that met an unavailable server is to be sent once more; None: such a call
                has failed.
        """
        self._address = address
        self._before_retry = before_retry
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]
        self._lock = threading.Lock()
        self.versions: Counter[int] = Counter()
        """Version of the answer -> calls."""
        self.retried = 0
        self.failures: list[str] = []

    @property
    def answered(self) -> int:
        return self.versions.total()

    def until(self, holds: Callable[[], bool], within_s: float) -> None:
        """Waits while they call. Raises TimeoutError."""
        ends = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > ends:
                raise TimeoutError(f"it did not come within {within_s:g} s; answered by version: {dict(self.versions)}")
            time.sleep(0.05)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads), "a call never ended"

    def told(self) -> str:
        """How it went. Raises AssertionError where a call failed."""
        assert not self.failures, f"{len(self.failures)} calls failed, the first: {self.failures[0]}"
        assert self.answered, "nothing was answered"
        return f"{self.answered:,} calls, 0 failed" + (f", {self.retried} sent once more" if self._before_retry else "")

    def _call(self) -> None:
        images = np.random.default_rng().integers(0, 256, (1, 8, 8), np.uint8)
        request = pb.PredictRequest(raw=pb.RawImages(pixels=images.tobytes(), shape=images.shape))
        with grpc.insecure_channel(self._address, OPTIONS) as channel:
            predict = ClassifierStub(channel).Predict
            while not self._stop.is_set():
                try:
                    self._note(predict(request, timeout=DEADLINE_S))
                except grpc.RpcError as err:
                    self._failed(err, lambda: self._note(predict(request, timeout=DEADLINE_S)))

    def _note(self, answer: pb.PredictResponse) -> None:
        with self._lock:
            self.versions[answer.version] += 1

    def _failed(self, err: grpc.RpcError, again: Callable[[], None]) -> None:
        if self._before_retry is not None and err.code() is grpc.StatusCode.UNAVAILABLE:
            self._before_retry()
            with self._lock:
                self.retried += 1
            try:
                again()
                return
            except grpc.RpcError as second:
                err = second
        with self._lock:
            self.failures.append(f"{err.code().name}: {err.details()}")
