from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vouch.sources import idx
from vouch.sources.errors import SourceError
from vouch.sources.folder_rules import FolderRules
from vouch.sources.load import load, look
from vouch.sources.survey import Survey
from vouch.sources.wanted import Wanted
from vouch.trainer.errors import TrainError
from vouch.trainer.splits.split import make_splits

IMAGES = np.zeros((2, 2, 2), dtype=np.uint8)
LABELS = np.array([0, 1], dtype=np.uint8)


def write_idx(folder: Path) -> Path:
    folder.mkdir()
    (folder / "train-images-idx3-ubyte").write_bytes(idx.header(IMAGES.shape) + IMAGES.tobytes())
    (folder / "train-labels-idx1-ubyte").write_bytes(idx.header(LABELS.shape) + LABELS.tobytes())
    return folder


def write_images(folder: Path) -> Path:
    for name in ("0", "1"):
        (folder / name).mkdir(parents=True)
        Image.fromarray(IMAGES[0]).save(folder / name / "1.png")
    return folder


def write_npz(path: Path) -> Path:
    with path.open("wb") as file:  # given a name, numpy would put .npz behind .NPZ
        np.savez(file, images=IMAGES, labels=LABELS)
    return path


def write_csv(path: Path) -> Path:
    path.write_text("0,0,0,0,0\n1,0,0,0,0\n")
    return path


def test_digits_need_no_path() -> None:
    """The default source is there without a file or a network."""
    assert len(load("digits").splits["all"]) == 1797


def test_each_kind_of_path_goes_to_its_reader(tmp_path: Path) -> None:
    """IDX folders, image folders, .npz and .csv give the same images, under the name that was asked for."""
    paths = {
        write_idx(tmp_path / "idx"): "fit",
        write_images(tmp_path / "pictures.npz"): "all",
        write_npz(tmp_path / "a.NPZ"): "all",
        write_csv(tmp_path / "a.csv"): "all",
    }

    sources = {path: load(str(path)) for path in paths}

    for path, source in sources.items():
        assert (source.name, source.classes, list(source.splits)) == (str(path), ("0", "1"), [paths[path]])
        examples = next(iter(source.splits.values()))
        np.testing.assert_array_equal(examples.images, IMAGES)
        np.testing.assert_array_equal(examples.labels, LABELS)


def test_a_folder_called_mnist_is_reachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`./mnist` is the folder, whatever `mnist` alone means."""
    write_idx(tmp_path / "mnist")
    monkeypatch.chdir(tmp_path)

    source = load("./mnist")

    assert (source.name, len(source.splits["fit"])) == ("./mnist", 2)


@pytest.mark.parametrize("spec", ["", "nowhere", "Digits", "a\0b", "nowhere.npz", "x" * 300])
def test_what_is_not_there_is_answered_with_what_is_accepted(spec: str) -> None:
    """No spelling of a path that does not exist ends in a traceback."""
    with pytest.raises(SourceError):
        load(spec)


def test_the_list_of_what_is_accepted_is_complete() -> None:
    """Every kind of source is named to somebody who mistyped one."""
    with pytest.raises(SourceError, match=r"nowhere does not exist; expected digits, mnist, .*images.*IDX.*npz.*csv"):
        load("nowhere")


@pytest.mark.parametrize(
    ("spec", "meant"),
    [("digts", "digits"), ("MNIST", "mnist"), ("photo", "photos"), ("there/phtos", "there/photos"), ("there/qwxz", "")],
)
def test_a_slip_is_answered_with_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, meant: str
) -> None:
    """One of our own sets, or what lies beside the place that was named."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "there/photos"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(SourceError) as refused:
        load(spec)

    hint = f"did you mean {meant}? " if meant else ""
    assert str(refused.value).startswith(f"{spec} does not exist; {hint}expected ")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A single IDX file or a picture is not enough."""
    path = write_idx(tmp_path / "idx") / "train-images-idx3-ubyte"

    with pytest.raises(SourceError, match="a file of an unsupported kind; expected digits"):
        load(str(path))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """A folder with nothing in it is neither of the two kinds."""
    with pytest.raises(SourceError, match="contains no image; expected a folder for each class"):
        load(str(tmp_path))


def test_what_the_system_refuses_is_a_source_error(tmp_path: Path) -> None:
    """A link to itself is reported in one sentence."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    with pytest.raises(SourceError, match="loop"):
        load(str(tmp_path / "loop" / "data"))


@pytest.mark.parametrize("kind", ["digits", "mnist", "idx", "npz"])
def test_size_is_refused_where_nothing_is_resized(tmp_path: Path, kind: str) -> None:
    """A size that would have no effect is an error that says where it has one."""
    makers = {"idx": write_idx, "npz": lambda path: write_npz(path.with_suffix(".npz"))}
    spec = str(makers[kind](tmp_path / "data")) if kind in makers else kind

    with pytest.raises(SourceError, match=r"--size 4x4 does not apply to .*folders of images.*csv"):
        load(spec, Wanted(size=(4, 4)))


@pytest.mark.parametrize(
    ("kind", "wanted", "says"),
    [
        *((kind, Wanted(bits=10), "--bits 10") for kind in ("digits", "npz", "csv")),
        *((kind, Wanted(channels=4), "--channels 4") for kind in ("digits", "npz")),
    ],
)
def test_arrays_are_taken_as_they_are(tmp_path: Path, kind: str, wanted: Wanted, says: str) -> None:
    """What decoding files means nothing to them, and is refused; a ground is for what is served later."""
    makers = {"npz": write_npz, "csv": write_csv}
    spec = str(makers[kind](tmp_path / f"a.{kind}")) if kind in makers else kind

    with pytest.raises(SourceError, match=rf"{says} does not apply to .*folders of images; leave it out"):
        load(spec, wanted)
    assert load(spec, Wanted(ground="#000000")).splits["all"].images.dtype == np.uint8


def test_size_reaches_the_readers_that_take_one(tmp_path: Path) -> None:
    """Image folders are resized; a table's lines are given their shape."""
    pictures = load(str(write_images(tmp_path / "pictures")), Wanted(size=(3, 5)))
    table = load(str(write_csv(tmp_path / "a.csv")), Wanted(size=(1, 4)))

    assert pictures.splits["all"].images.shape == (2, 3, 5)
    assert table.splits["all"].images.shape == (2, 1, 4)


class Enough(Exception):
    """Nothing more is to be read."""


def classes_of_one_image(folder: Path, count: int) -> Path:
    """So many class folders, each with the same picture."""
    (folder / "0").mkdir(parents=True)
    Image.fromarray(IMAGES[0]).save(folder / "0" / "1.png")
    encoded = (folder / "0" / "1.png").read_bytes()
    for name in range(1, count):
        (folder / str(name)).mkdir()
        (folder / str(name) / "1.png").write_bytes(encoded)
    return folder


def test_ten_thousand_classes_are_taken_and_one_more_is_not(tmp_path: Path) -> None:
    """In numbers' order; above the limit the advice is given before an image is read. Decoding them shows no more."""
    folder = classes_of_one_image(tmp_path / "many", 10_000)
    surveys: list[Survey] = []

    def decide(survey: Survey) -> Wanted:
        surveys.append(survey)
        raise Enough

    with pytest.raises(Enough):
        load(str(folder), decide=decide)

    assert surveys[0].classes == tuple(map(str, range(10_000)))
    assert surveys[0].sizes == {"all": 10_000}
    (folder / "one more").mkdir()
    (folder / "one more" / "1.png").write_bytes(b"no image")
    with pytest.raises(SourceError, match=r"has 10,001 classes; the limit is 10,000: leave some out, or merge"):
        load(str(folder))


def test_ten_thousand_classes_in_arrays_are_taken(tmp_path: Path) -> None:
    """Each image keeps its own."""
    labels = np.random.default_rng(0).permutation(10_000)
    np.savez(tmp_path / "a.npz", images=np.zeros((10_000, 1, 1), dtype=np.uint8), labels=labels)

    source = load(str(tmp_path / "a.npz"))

    assert source.classes == tuple(map(str, range(10_000)))
    assert source.splits["all"].labels.tolist() == labels.tolist()


@pytest.mark.parametrize("form", ["integers", "strings", "columns"])
def test_too_many_classes_in_arrays_are_refused(tmp_path: Path, form: str) -> None:
    """Numbers that are no classes, such as a measured quantity, are told in one sentence."""
    count = 10_001
    labels = {
        "integers": np.arange(count),
        "strings": np.arange(count).astype(str),
        "columns": np.ones((2, count), dtype=np.bool_),
    }[form]
    np.savez(tmp_path / "a.npz", images=np.zeros((len(labels), 1, 1), dtype=np.uint8), labels=labels)

    with pytest.raises(SourceError, match="10,001 classes; the limit is 10,000"):
        load(str(tmp_path / "a.npz"))


def test_classes_that_a_split_lacks_leave_it_empty(tmp_path: Path) -> None:
    """Choosing classes is no error of its own; splitting says which class is missing where."""
    np.savez(
        tmp_path / "a.npz",
        fit_images=np.arange(6, dtype=np.uint8).reshape(6, 1, 1),
        fit_labels=[0, 1, 2] * 2,
        tune_images=np.full((1, 1, 1), 8, np.uint8),
        tune_labels=[2],
        validation_images=np.array([10, 11], np.uint8).reshape(2, 1, 1),
        validation_labels=[0, 1],
    )
    source = load(str(tmp_path / "a.npz")).with_classes(("0", "1"))

    assert {name: len(part) for name, part in source.splits.items()} == {"fit": 4, "tune": 0, "validation": 2}
    with pytest.raises(TrainError, match=r"class 0 \(and 1 more\) has no examples in tune"):
        make_splits(source, 0.1, 0.2, seed=0, allow_duplicates=False)


@pytest.mark.parametrize("kind", ["digits", "images"])
def test_an_order_of_axes_is_for_arrays_alone(tmp_path: Path, kind: str) -> None:
    """Files of images have one, and our own digits too."""
    spec = str(write_images(tmp_path / "images")) if kind == "images" else kind

    with pytest.raises(SourceError, match=r"--layout nchw does not apply to .*: it is the order of axes"):
        load(spec, Wanted(layout="nchw"))


@pytest.mark.parametrize("several", [False, True])
def test_columns_of_an_array_are_one_label_where_every_row_has_one(tmp_path: Path, several: bool) -> None:
    """And any number where one row has more; either can be asked for, where it is there."""
    columns = np.eye(3, dtype=np.bool_)
    columns[2, 0] = several
    np.savez(tmp_path / "a.npz", images=np.zeros((3, 2, 2), np.uint8), labels=columns)
    spec = str(tmp_path / "a.npz")

    assert load(spec).task == ("multi_label" if several else "single_label")
    assert load(spec, task="multi_label").task == "multi_label"
    if several:
        with pytest.raises(SourceError, match=r"1 of 3 images .* several labels or none, such as images\[2\] \(0, 2\)"):
            load(spec, task="single_label")
    else:
        assert load(spec, task="single_label").splits["all"].labels.tolist() == [0, 1, 2]


def test_looking_refuses_one_class(tmp_path: Path) -> None:
    """Nothing can be learned from it, though it can be read; a folder of classes below it is named."""
    write_images(tmp_path / "data" / "pictures")

    assert load(str(tmp_path / "data")).classes == ("pictures",)
    with pytest.raises(SourceError, match="one class, pictures; .*; if 0, 1 are the classes, pass"):
        look(str(tmp_path / "data"))


@pytest.mark.parametrize("rules", [FolderRules(label_from="(a)"), FolderRules(splits=False)])
def test_rules_of_folders_are_refused_where_there_is_none(tmp_path: Path, rules: FolderRules) -> None:
    """A flag that would have no effect is an error."""
    spec = str(write_npz(tmp_path / "a.npz"))

    with pytest.raises(SourceError, match=r"--(label-from \(a\)|no-splits) does not apply to .*a\.npz"):
        load(spec, rules=rules)
