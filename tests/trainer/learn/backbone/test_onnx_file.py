"""Backbones from files, as people have them: every form of input and output, and what no server would take."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tests.support.backbones import tiny_head
from vouch.bundle.graph import check_graph
from vouch.bundle.pixel_settings import PixelSettings
from vouch.server.model.session import open_session
from vouch.trainer.backbones import check_images
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone import whole_file
from vouch.trainer.learn.backbone.features import features, places
from vouch.trainer.learn.backbone.joined import joined
from vouch.trainer.learn.backbone.onnx_file import BackboneFile, open_file
from vouch.trainer.learn.backbone.wishes import FileWishes
from vouch.trainer.settings import TrainSettings

D = 6
WEIGHT = np.random.default_rng(5).normal(size=(D, 3, 4, 4)).astype(np.float32)
PLAIN = FileWishes(mean=(0.0,), scale=(255.0,))
CONV = helper.make_node("Conv", ["x", "weight"], ["grid"], strides=[4, 4])
POOL = [helper.make_node("GlobalAveragePool", ["grid"], ["mean"]), helper.make_node("Flatten", ["mean"], ["row"])]
TOKENS = [helper.make_node("Reshape", ["grid", "flat"], ["flattened"])]
TOKENS += [helper.make_node("Transpose", ["flattened"], ["tokens"], perm=[0, 2, 1])]
FLAT = {"flat": np.array([0, D, -1])}


def photos(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *(shape or (16, 16, 3))), dtype=np.uint8)


def written(
    folder: Path,
    nodes: Sequence[NodeProto],
    outputs: Sequence[str] = ("row",),
    *,
    shape: Sequence[Any] = ("b", 3, 16, 16),
    opset: int = 18,
    element: int = TensorProto.FLOAT,
    ranks: dict[str, int] | None = None,
    constants: dict[str, np.ndarray] | None = None,
) -> Path:
    values = {"weight": WEIGHT} | (constants or {})
    graph = helper.make_graph(
        nodes,
        "made up",
        [helper.make_tensor_value_info("x", element, shape)],
        [helper.make_tensor_value_info(name, element, [None] * ranks[name] if ranks else None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    model.doc_string = "/home/somebody"
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def expected_grid(images: np.ndarray) -> np.ndarray:
    """What the convolution finds in pixels from 0 to 1, shape (N, D, 4, 4)."""
    pixels = images.astype(np.float64) / 255
    blocks = pixels.reshape(len(images), 4, 4, 4, 4, 3)  # rows, within a row, columns, within a column
    found: np.ndarray = np.einsum("nrhcwk,dkhw->ndrc", blocks, WEIGHT)
    return found


@pytest.mark.parametrize(
    ("nodes", "outputs", "expected", "has_places"),
    [
        ([CONV, *POOL], ["row"], lambda grid: grid.mean(axis=(2, 3)), False),
        ([CONV], ["grid"], lambda grid: grid.mean(axis=(2, 3)), True),
        ([CONV, *TOKENS], ["tokens"], lambda grid: grid.mean(axis=(2, 3)), True),
        ([CONV, POOL[0]], ["mean"], lambda grid: grid.mean(axis=(2, 3)), False),
    ],
    ids=["a row", "a grid", "a token a place", "a grid of one place"],
)
def test_whatever_it_makes_becomes_a_row_an_image(
    nodes: list[NodeProto], outputs: list[str], expected: Any, has_places: bool, tmp_path: Path
) -> None:
    """Pooled by us where it is not; then a head behind it is served."""
    images = photos(5)

    backbone = open_file(written(tmp_path, nodes, outputs, constants=FLAT), PLAIN).backbone((16, 16, 3))

    assert np.allclose(features(backbone, images), expected(expected_grid(images)), atol=1e-4)
    assert backbone.has_places == has_places
    if has_places:
        assert np.allclose(places(backbone, images), expected_grid(images), atol=1e-4)
    graph = joined(backbone, tiny_head(3, D))
    check_graph(graph)
    assert open_session(graph, "cpu", 1).run([images]).logits.shape == (5, 3)
    assert b"/home/somebody" not in graph


def test_of_tokens_with_one_more_than_places_the_first_is_taken(tmp_path: Path) -> None:
    """It is the class token; the facts say so."""
    first = helper.make_node("Concat", ["class token", "tokens"], ["all"], axis=1)
    spread = helper.make_node("Expand", ["token", "shape"], ["class token"])
    shapes = [helper.make_node("Shape", ["x"], ["batch"], start=0, end=1)]
    shapes += [helper.make_node("Concat", ["batch", "rest"], ["shape"], axis=0)]
    token = np.arange(D, dtype=np.float32).reshape(1, 1, D)
    path = written(
        tmp_path,
        [CONV, *TOKENS, *shapes, spread, first],
        ["all"],
        constants={"token": token, "rest": np.array([1, D]), **FLAT},
    )

    backbone = open_file(path, PLAIN).backbone((16, 16, 3))

    assert (features(backbone, photos(2)) == token[0]).all()
    assert not backbone.has_places
    assert "class token" in (backbone.facts.output or "")


@pytest.mark.parametrize(
    ("outputs", "ranks", "wished", "taken"),
    [
        (["grid", "row"], {"grid": 4, "row": 2}, None, "row"),
        (["grid", "pooler_output"], None, None, "pooler_output"),
        (["grid"], None, "row", "row"),
        (["row"], None, "grid", "grid"),
    ],
    ids=["the only row an image", "a usual name", "a value within", "another value within"],
)
def test_of_several_values_one_is_taken(
    outputs: list[str], ranks: dict[str, int] | None, wished: str | None, taken: str, tmp_path: Path
) -> None:
    """By the flag, by its name, or because it alone has a row an image."""
    again = helper.make_node("Identity", ["row"], ["pooler_output"])
    path = written(tmp_path, [CONV, *POOL, again], outputs, ranks=ranks)

    file = open_file(path, FileWishes(mean=(0.0,), scale=(255.0,), output=wished))

    assert [value.name for value in file.part.graph.output] == [taken]


@pytest.mark.parametrize("opset", [9, 12, 13, 20, 21])
def test_any_opset_of_the_last_years_is_taken(opset: int, tmp_path: Path) -> None:
    """Older ones are brought to 20; newer ones stay, and the head is brought to theirs."""
    backbone = open_file(written(tmp_path, [CONV, *POOL], opset=opset), PLAIN).backbone((16, 16, 3))

    session = open_session(joined(backbone, tiny_head(2, D)), "cpu", 1)

    assert session.run([photos(3)]).probabilities.shape == (3, 2)


@pytest.mark.parametrize("opset", [13, 20])
@pytest.mark.parametrize("written_batch", ["in a reshape", "nowhere"])
def test_a_fixed_batch_of_one_is_made_free(written_batch: str, opset: int, tmp_path: Path) -> None:
    """Where the graph has written it somewhere, it is run once an image; a server sees a free batch either way, also
    where bringing a graph to a newer opset has written shapes into it.
    """
    end = [POOL[0], helper.make_node("Reshape", ["mean", "one"], ["row"])] if written_batch == "in a reshape" else POOL
    path = written(tmp_path, [CONV, *end], shape=(1, 3, 16, 16), constants={"one": np.array([1, D])}, opset=opset)
    images = photos(5)

    backbone = open_file(path, PLAIN).backbone((16, 16, 3))

    assert np.allclose(features(backbone, images), expected_grid(images).mean(axis=(2, 3)), atol=1e-4)
    session = open_session(joined(backbone, tiny_head(2, D)), "cpu", 1)
    session.check_signature(PixelSettings.of((16, 16, 3)), classes=2)
    assert session.run([images]).logits.shape == (5, 2)


@pytest.mark.parametrize("shape", [("b", 3, "h", "w"), ("b", "c", "h", "w")])
def test_free_sides_take_images_of_any_size(shape: tuple[str, ...], tmp_path: Path) -> None:
    """The usual 224 is proposed; grey images are repeated for each colour."""
    file = open_file(written(tmp_path, [CONV, *POOL], shape=shape), PLAIN)
    grey = photos(3, 16, 16)

    assert file.size == (224, 224)
    coloured = np.repeat(grey[..., None], 3, axis=3)
    found = features(file.backbone((16, 16)), grey)
    assert np.allclose(found, features(file.backbone((16, 16, 3)), coloured), atol=1e-5)


def test_channels_may_be_the_last_axis(tmp_path: Path) -> None:
    """As networks from Keras have them; a grid of theirs is turned too."""
    turn = [helper.make_node("Transpose", ["y"], ["x"], perm=[0, 3, 1, 2]), CONV]
    turn += [helper.make_node("Transpose", ["grid"], ["turned"], perm=[0, 2, 3, 1])]
    path = written(tmp_path, turn, ["turned"], shape=("b", 16, 16, 3))
    model = onnx.load(path)
    model.graph.input[0].name = "y"
    onnx.save(model, path)
    images = photos(2)

    backbone = open_file(path, PLAIN).backbone((16, 16, 3))

    assert np.allclose(places(backbone, images), expected_grid(images), atol=1e-4)

    half = {"weight": WEIGHT.astype(np.float16)}
    path = written(tmp_path, [CONV, *POOL], element=TensorProto.FLOAT16, constants=half)


def test_half_precision_is_taken(tmp_path: Path) -> None:
    """Features are float32 all the same."""
    path = written(
        tmp_path, [CONV, *POOL], element=TensorProto.FLOAT16, constants={"weight": WEIGHT.astype(np.float16)}
    )

    found = features(open_file(path, PLAIN).backbone((16, 16, 3)), photos(2))

    assert np.allclose(found, expected_grid(photos(2)).mean(axis=(2, 3)), rtol=1e-2, atol=1e-2)


def opened_with(folder: Path, wishes: FileWishes, **metadata: str) -> BackboneFile:
    path = written(folder, [CONV, *POOL], shape=("b", 3, "h", "w"))
    model = onnx.load(path)
    helper.set_model_props(model, {name.replace("__", "."): value for name, value in metadata.items()})
    onnx.save(model, path)
    return open_file(path, wishes)


@pytest.mark.parametrize(
    ("metadata", "mean", "scale"),
    [
        ({}, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        ({"Image__NominalPixelRange": "Normalized_0_1"}, (0.0,), (255.0,)),
        ({"Image__NominalPixelRange": "Normalized_1_1"}, (127.5,), (127.5,)),
        ({"vouch__mean": "1,2,3", "vouch__scale": "4"}, (1.0, 2.0, 3.0), (4.0,)),
        ({"vouch__scale": "4"}, (0.0,), (4.0,)),
    ],
)
def test_mean_and_scale_are_the_files(
    metadata: dict[str, str], mean: tuple[float, ...], scale: tuple[float, ...], tmp_path: Path
) -> None:
    """By our keys or ONNX's; where it says nothing, ImageNet's, and a note says so."""
    file = opened_with(tmp_path, FileWishes(), **metadata)

    assert (file.pixels.mean, file.pixels.scale) == (mean, scale)
    assert bool(file.pixels.note) == (not metadata)


def test_flags_count_before_the_files_metadata(tmp_path: Path) -> None:
    """Size and licence too; all of it is in the facts."""
    said = {"vouch__size": "32x16", "vouch__licence": "MIT", "vouch__mean": "1"}
    wishes = FileWishes(mean=(9.0,), scale=(3.0,), size=(16, 16), licence="Apache-2.0")

    asked, alone = opened_with(tmp_path, wishes, **said), opened_with(tmp_path, FileWishes(), **said)

    assert (asked.size, asked.licence, asked.pixels.mean) == ((16, 16), "Apache-2.0", (9.0,))
    assert (alone.size, alone.licence, alone.pixels.mean) == ((32, 16), "MIT", (1.0,))
    facts = asked.backbone((16, 16, 3)).facts
    assert (facts.name, facts.licence, facts.features, facts.mean) == ("net.onnx", "Apache-2.0", D, (9.0,))


@pytest.mark.parametrize(
    ("wishes", "metadata", "said"),
    [
        (FileWishes(mean=(0.485,), scale=(0.25,)), {}, "multiply scale and mean by 255: --backbone-scale 63.75"),
        (FileWishes(scale=(0.0,)), {}, "expected at least 1"),
        (FileWishes(mean=(1.0, 2.0), scale=(1.0,)), {}, "expected one number, or three"),
        (FileWishes(mean=(float("nan"),)), {}, "expected one number, or three"),
        (FileWishes(), {"vouch__mean": "a"}, "vouch.mean 'a'"),
        (FileWishes(), {"vouch__size": "1x2x3"}, "vouch.size '1x2x3'"),
        (FileWishes(), {"Image__BitmapPixelFormat": "Bgr8"}, "Bgr8; expected Rgb8"),
        (FileWishes(output="nothing"), {}, "no value named 'nothing'; its outputs are row"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    wishes: FileWishes, metadata: dict[str, str], said: str, tmp_path: Path
) -> None:
    """Each with one sentence that says what was expected."""
    with pytest.raises(TrainError, match=said):
        opened_with(tmp_path, wishes, **metadata)


def foreign(path: Path) -> None:
    model = onnx.load(path)
    model.graph.node[-1].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    path.write_bytes(model.SerializeToString())


def outside(path: Path) -> None:
    model = onnx.load(path)
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "passwd")
    path.write_bytes(model.SerializeToString())


def no_outputs(path: Path) -> None:
    path.write_bytes(b"")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def junk(path: Path) -> None:
    path.write_bytes(b"\x00no graph")


def two_inputs(path: Path) -> None:
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["b", D]))
    model.graph.node.append(helper.make_node("Add", ["row", "mask"], ["masked"]))
    model.graph.output[0].name = "masked"
    path.write_bytes(model.SerializeToString())


def bytes_in(path: Path) -> None:
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    path.write_bytes(model.SerializeToString())


def two_rows(path: Path) -> None:
    model = onnx.load(path)
    model.graph.output.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, None))
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (foreign, "net.onnx has operators of the domain 'com.microsoft'"),
        (outside, r"net.onnx has data in another file, 'passwd'; .* external_data=False"),
        (junk, "is not an ONNX file"),
        (no_outputs, "net.onnx has no outputs"),
        (pipe, "cannot be read: expected an ONNX file"),
        (two_inputs, r"needs 2 inputs for its features \(x, mask\)"),
        (bytes_in, "and the type UINT8; expected FLOAT"),
        (two_rows, "has the outputs row, mean; which of them .* --backbone-output NAME"),
        (Path.unlink, "cannot be read: No such file"),
    ],
)
def test_what_no_server_would_take_is_refused(change: Any, said: str, tmp_path: Path) -> None:
    """Before anything of it is run."""
    path = written(tmp_path, [CONV, *POOL])
    change(path)

    with pytest.raises(TrainError, match=said):
        open_file(path, PLAIN)


def test_a_domain_that_only_another_output_needs_does_no_harm(tmp_path: Path) -> None:
    """What does not lead to the features is cut away first, inputs and all."""
    path = written(tmp_path, [CONV, *POOL, helper.make_node("Strange", ["row"], ["strange"], domain="com.acme")])
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("com.acme", 1))
    model.graph.output.append(helper.make_tensor_value_info("strange", TensorProto.FLOAT, None))
    path.write_bytes(model.SerializeToString())

    backbone = open_file(path, FileWishes(mean=(0.0,), scale=(255.0,), output="row")).backbone((16, 16, 3))

    assert features(backbone, photos(1)).shape == (1, D)


def test_a_file_too_large_is_refused_before_it_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is read than an ONNX file can have."""
    monkeypatch.setattr(whole_file, "MAX_BYTES", 500)

    with pytest.raises(TrainError, match="at most 500 bytes"):
        open_file(written(tmp_path, [CONV, *POOL]), PLAIN)


def test_a_graph_that_mixes_the_images_of_a_batch_is_refused(tmp_path: Path) -> None:
    """As one in training mode does: what is served would depend on who else calls."""
    mixed = [helper.make_node("ReduceMean", ["row", "first"], ["common"], keepdims=1)]
    mixed += [helper.make_node("Sub", ["row", "common"], ["mixed"])]
    path = written(tmp_path, [CONV, *POOL, *mixed], ["mixed"], constants={"first": np.array([0])})

    with pytest.raises(TrainError, match="does not process the images of a batch independently"):
        open_file(path, PLAIN).backbone((16, 16, 3))


@pytest.mark.parametrize(
    ("shape", "said"), [((24, 16, 3), "pass --size 16x16"), ((16, 16, 4), "4 channels"), ((16, 16, 2), "2 channels")]
)
def test_images_of_another_form_are_refused(shape: tuple[int, ...], said: str, tmp_path: Path) -> None:
    """With the size that it takes."""
    with pytest.raises(TrainError, match=said):
        open_file(written(tmp_path, [CONV, *POOL]), PLAIN).backbone(shape)


def test_a_size_that_a_file_does_not_take_is_found_before_images_are_decoded(tmp_path: Path) -> None:
    """The check of the survey knows it."""
    settings = TrainSettings(backbone=str(written(tmp_path, [CONV, *POOL])))

    check_images(settings, (16, 16, 3))
    with pytest.raises(TrainError, match="takes 16 x 16: pass --size 16x16"):
        check_images(settings, (24, 16, 3))


def test_another_size_than_it_takes_is_refused_before_images_are_read(tmp_path: Path) -> None:
    """A fixed size leaves no choice."""
    with pytest.raises(TrainError, match="takes only images of 16 x 16 pixels, not 32 x 32"):
        open_file(written(tmp_path, [CONV, *POOL]), FileWishes(size=(32, 32)))


def test_features_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    """Found on made-up images, before any of ours is computed."""
    path = written(tmp_path, [CONV, *POOL], constants={"weight": WEIGHT * np.float32(np.inf)})

    with pytest.raises(TrainError, match="not finite"):
        open_file(path, PLAIN).backbone((16, 16, 3))
