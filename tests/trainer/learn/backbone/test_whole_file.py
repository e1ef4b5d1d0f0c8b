"""Weights that a backbone's file keeps in files beside it: read where they are its own, and nothing else is."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone import whole_file
from vouch.trainer.learn.backbone.onnx_file import open_file
from vouch.trainer.learn.backbone.whole_file import read_whole
from vouch.trainer.learn.backbone.wishes import FileWishes

WEIGHTS = {name: np.arange(300, dtype=np.float32).reshape(100, 3, 1, 1) * sign for name, sign in (("a", 1), ("b", -1))}


def written(folder: Path, data: str = "net.onnx.data", one_file: bool = True) -> Path:
    nodes = [helper.make_node("Conv", ["x", "a"], ["left"]), helper.make_node("Conv", ["x", "b"], ["right"])]
    nodes += [helper.make_node("Add", ["left", "right"], ["grid"])]
    graph = helper.make_graph(
        nodes,
        "made up",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 3, 16, 16])],
        [helper.make_tensor_value_info("grid", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in WEIGHTS.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path = folder / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=one_file, location=data)
    return path


def said(path: Path, key: str, value: str) -> None:
    """Lets the first weight say this of where it is."""
    model = onnx.load(path, load_external_data=False)
    entries = model.graph.initializer[0].external_data
    for entry in entries:
        if entry.key == key:
            entry.value = value
    path.write_bytes(model.SerializeToString())


def test_weights_beside_the_file_are_read(tmp_path: Path) -> None:
    """As torch.onnx.export writes them; the digest is of both files, and the source names both."""
    path = written(tmp_path)

    whole, opened = read_whole(path), open_file(path, FileWishes())

    found = {one.name: numpy_helper.to_array(one) for one in whole.model.graph.initializer}
    assert all((found[name] == value).all() for name, value in WEIGHTS.items())
    both = path.read_bytes() + (tmp_path / "net.onnx.data").read_bytes()
    assert whole.sha256 == opened.sha256 == hashlib.sha256(both).hexdigest()
    assert opened.backbone((16, 16, 3)).facts.source == "the file net.onnx with net.onnx.data"


def test_links_are_followed(tmp_path: Path) -> None:
    """Caches of models are full of them."""
    path = written(tmp_path)
    for file in (path, tmp_path / "net.onnx.data"):
        (tmp_path / "cache").mkdir(exist_ok=True)
        (tmp_path / "cache" / file.name).symlink_to(file)

    assert read_whole(tmp_path / "cache" / "net.onnx").sha256 == read_whole(path).sha256


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("location", "/etc/passwd", "data in another file, '/etc/passwd'"),
        ("location", "../net.onnx.data", "only files in its folder"),
        ("location", "net/../../secret", "only files in its folder"),
        ("location", "secret.txt", "whose names begin with net"),
        ("location", "net.gone", "net.gone cannot be read: No such file"),
        ("offset", "99999999", "it may be another file, or incomplete"),
        ("length", "2401", "'a' is in bytes 0 to 2,401 of its data file, which has 2,400"),
        ("length", "-1", "the length '-1' for 'a'; expected a number of bytes"),
    ],
)
def test_nothing_else_is_read(key: str, value: str, words: str, tmp_path: Path) -> None:
    """Whoever made the file says where its weights are, and what is read is published."""
    (tmp_path / "secret.txt").write_text("secret")
    path = written(tmp_path)
    said(path, key, value)

    with pytest.raises(TrainError, match=words):
        read_whole(path)


def test_weights_that_name_the_same_bytes_have_a_bound_together(tmp_path: Path, monkeypatch: Any) -> None:
    """A small file cannot ask for more memory than an ONNX file can have."""
    path = written(tmp_path)
    said(path, "length", "2400")
    monkeypatch.setattr(whole_file, "MAX_BYTES", len(path.read_bytes()) + 2401)

    with pytest.raises(TrainError, match="at most .* in all"):
        read_whole(path)
