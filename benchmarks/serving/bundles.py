"""The served models: trained for one epoch, because the speed does not depend on the weights."""

from pathlib import Path

import onnxruntime as ort

from benchmarks.runs import run_vouch
from vouch.bundle.opening import Bundle, open_bundle


def trained(kind: str, data: str, folder: Path) -> Bundle:
    """A bundle of this kind; the one that lies in the folder already, where one does."""
    return _trained(folder / kind, "mnist", "--data", data, "--model", kind, "--epochs", "1")


def of_photos(photos: Path, folder: Path) -> Bundle:
    """A bundle of photographs, by default settings: a backbone with a head."""
    return _trained(folder / "photos", "photos", "--data", str(photos))


def _trained(models: Path, name: str, *words: str) -> Bundle:
    if versions := sorted(models.glob(f"{name}/*/manifest.json")):
        return open_bundle(versions[-1].parent)
    return open_bundle(Path(run_vouch("train", *words, "--models", str(models), "--name", name)["bundle"]))


def bare_session(bundle: Bundle) -> ort.InferenceSession:
    """The graph in ONNX Runtime, on all cores."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(bundle.read_model(), options, providers=["CPUExecutionProvider"])
