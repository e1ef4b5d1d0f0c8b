"""One loaded graph in ONNX Runtime, on the requested provider and no other.

`cuda` runs it on a GPU; no other module of the server imports onnxruntime.
"""

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort

from vouch.bundle.pixel_settings import PixelSettings
from vouch.server.errors import ModelFailed, Refused, StartFailed
from vouch.server.settings import Provider

PROVIDERS: dict[Provider, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
PROVIDER_OPTIONS: dict[Provider, dict[str, str]] = {
    "cpu": {},
    # EXHAUSTIVE pays because no new shape appears while serving. The needed memory is known, so none is rounded up.
    "cuda": {"cudnn_conv_algo_search": "EXHAUSTIVE", "arena_extend_strategy": "kSameAsRequested"},
}
IDENTITY_GRAPH = base64.b64decode(
    "CAo6NgoQCgF4EgF5IghJZGVudGl0eRIIaWRlbnRpdHlaCwoBeBIGCgQIARIAYgsKAXkSBgoECAESAEIECgAQFA=="
)
"""One Identity node on a float scalar, opset 20, IR 10, to test whether a provider really starts."""


class Outputs(NamedTuple):
    """The outputs of a run, row by row."""

    probabilities: np.ndarray
    """float32, shape (N, K), rows summing to 1."""
    logits: np.ndarray
    """float32, shape (N, K)."""


OUTPUT_NAMES = list(Outputs._fields)


class Session:
    """A graph ready to run. Made by `open_session`."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self.graph = session

    def run(self, parts: Sequence[np.ndarray]) -> Outputs:
        """Probabilities and logits of these images together. Blocks; may be called from any thread.

        Args:
            parts: the images in parts, each uint8, shape (n, H, W) or (n, H, W, C).

        Raises:
            ModelFailed: ONNX Runtime raised, or the parts cannot be joined.
        """
        try:
            images = parts[0] if len(parts) == 1 else np.concatenate(parts)
            return Outputs(*self.graph.run(OUTPUT_NAMES, {"images": images}))
        except Exception as err:  # ONNX Runtime's exceptions have no common base of their own
            raise ModelFailed(f"the model failed on {sum(map(len, parts))} images") from err

    def check_signature(self, image: PixelSettings, classes: int) -> None:
        """Compares names, types and shapes of inputs and outputs with the manifest.

        Raises:
            Refused: with what was expected and what the graph has.
        """
        expected = [("images", "tensor(uint8)", image.shape)]
        expected += [(name, "tensor(float)", (classes,)) for name in Outputs._fields]
        values = [*self.graph.get_inputs(), *self.graph.get_outputs()]
        found = [(value.name, value.type, tuple(value.shape[1:])) for value in values]
        if found != expected:
            raise Refused(f"model.onnx has inputs and outputs {found}; expected {expected} after the batch axis")
        if any(isinstance(value.shape[0], int) for value in values):
            raise Refused("model.onnx has a fixed batch size; expected a dynamic first axis")


def open_session(model: bytes, provider: Provider, threads: int) -> Session:
    """Loads a graph.

    Args:
        model: the .onnx file's content, whose hash was checked before.
        threads: threads per run.

    Raises:
        Refused: ONNX Runtime does not load it.
        StartFailed: the provider is not available.
    """
    require_provider(provider)
    try:
        return Session(_load(model, provider, threads))
    except Exception as err:
        raise Refused(f"ONNX Runtime cannot load model.onnx on {provider}: {_first_line(err)}") from err


def require_provider(provider: Provider) -> None:
    """Starts the provider once on a graph of one node.

    Raises:
        StartFailed: it is not in this build, or its libraries do not load. There is no fallback to another provider.
    """
    available = ort.get_available_providers()
    if PROVIDERS[provider] not in available:
        raise StartFailed(
            f"provider {provider} is not available: onnxruntime {ort.__version__} here has only "
            f"{', '.join(available)}; install onnxruntime-gpu instead of onnxruntime, or pass --provider cpu"
        )
    if provider == "cuda":
        ort.preload_dlls()  # CUDA's libraries, if pip has installed them with onnxruntime-gpu
    try:
        _load(IDENTITY_GRAPH, provider, 1).run(None, {"x": np.zeros((), np.float32)})
    except Exception as err:
        raise StartFailed(f"provider {provider} does not start: {_first_line(err)}") from err


def _load(model: bytes, provider: Provider, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised too, and its log lines would quote the graph's names unescaped
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # the checked format, whatever the bytes
    if provider != "cpu":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    session: Any = ort.InferenceSession(model, options, providers=[(PROVIDERS[provider], PROVIDER_OPTIONS[provider])])
    session.disable_fallback()
    if session.get_providers()[0] != PROVIDERS[provider]:
        raise RuntimeError(f"the session runs on {session.get_providers()[0]}")
    return session


def _first_line(err: Exception) -> str:
    return (str(err).strip() or type(err).__name__).splitlines()[0]
