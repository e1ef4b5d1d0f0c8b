"""Runs a graph on a GPU in a few fixed batch sizes, with memory that is allocated and bound once.

A new input shape would make CUDA's convolutions search for their fastest algorithm again, in the middle of serving. So
a batch goes into the smallest bucket that it fits, and every bucket has run before the first call. Callers' images are
copied once, into page-locked memory, from which the GPU fetches them itself; outputs are written to such memory too.
"""

import threading
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnxruntime as ort

from vouch.server.errors import ModelFailed
from vouch.server.model.session import PROVIDERS, Outputs, Session
from vouch.server.settings import Provider


class Bucket(NamedTuple):
    """One batch size, and the memory of its runs."""

    binding: ort.IOBinding
    images: ort.OrtValue
    """The graph's input, on the device."""
    staged: np.ndarray
    """Images to be copied to the device: uint8, shape (size, H, W) or (size, H, W, C), in host memory."""
    outputs: Outputs
    """Outputs of the whole bucket, in host memory."""
    held: list[ort.OrtValue]
    """The memory that the arrays are views of."""


class BoundSession:
    """Like `Session`, run in buckets. One run at a time: the buffers are shared."""

    def __init__(self, session: Session, provider: Provider, most: int) -> None:
        """Allocates the memory of all buckets.

        Args:
            session: a session on this provider, with checked signature.
            most: most images per run.
        """
        self.sizes = bucket_sizes(most)
        self._graph = session.graph
        self._lock = threading.Lock()
        self._buckets = [_bucket(self._graph, provider, size) for size in self.sizes]

    def run(self, parts: Sequence[np.ndarray]) -> Outputs:
        """As `Session.run`, for up to `most` images. Callers own the returned arrays.

        Raises:
            ModelFailed: ONNX Runtime raised, or the images do not fit.
        """
        count = sum(map(len, parts))
        try:
            bucket = self._buckets[bisect_left(self.sizes, count)]
            with self._lock:
                start = 0  # rows after the last one keep old images, which do not affect other rows
                for part in parts:
                    bucket.staged[start : (start := start + len(part))] = part
                bucket.images.update_inplace(bucket.staged)
                self._graph.run_with_iobinding(bucket.binding)
                bucket.binding.synchronize_outputs()
                return Outputs(*(output[:count].copy() for output in bucket.outputs))
        except Exception as err:  # ONNX Runtime's exceptions have no common base of their own
            raise ModelFailed(f"the model failed on {count} images") from err


def bucket_sizes(most: int) -> list[int]:
    """The powers of two below `most`, and `most`: at most half of a run is unused."""
    return [*(1 << power for power in range((most - 1).bit_length())), most]


def _bucket(graph: ort.InferenceSession, provider: Provider, size: int) -> Bucket:
    (read,) = graph.get_inputs()
    shape = (size, *read.shape[1:])
    images = ort.OrtValue.ortvalue_from_shape_and_type(shape, np.uint8, provider)
    binding = graph.io_binding()
    binding.bind_ortvalue_input(read.name, images)
    held = [_on_host(provider, shape, np.uint8)]
    for output in graph.get_outputs():
        held.append(_on_host(provider, (size, *output.shape[1:]), np.float32))
        binding.bind_ortvalue_output(output.name, held[-1])
    staged, *outputs = (value.numpy() for value in held)
    staged[:] = 0
    return Bucket(binding, images, staged, Outputs(*outputs), held)


def _on_host(provider: Provider, shape: tuple[int, ...], element: type[np.generic]) -> ort.OrtValue:
    """Host memory that numpy reads and writes in place, page-locked if the provider supports it."""
    for device in ort.get_ep_devices():
        if device.ep_name == PROVIDERS[provider]:
            locked = device.memory_info(ort.OrtDeviceMemoryType.HOST_ACCESSIBLE)
            if locked is not None:
                value = ort.OrtValue.ortvalue_from_shape_and_type(shape, element, memory_info=locked)
                if value.numpy().ctypes.data == value.data_ptr():
                    return value
    return ort.OrtValue.ortvalue_from_shape_and_type(shape, element)
