import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bundle.made_up import DIGEST, LABELS, made_up_manifest
from tests.support.manifests import FILE, MISSING, columns, edited
from tests.support.older import older_manifest
from vouch.bundle.claims import Claim
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.manifest import FORMAT_VERSION, is_class_name, read_manifest
from vouch.bundle.pixel_settings import FIRST_RULES, RULES, PixelSettings


@settings(max_examples=40)
@given(st.lists(st.text().filter(is_class_name), min_size=2, max_size=9, unique=True))
def test_what_is_written_is_read_back(labels: list[str]) -> None:
    """A manifest says the same after it was written and read, whatever the classes are called."""
    manifest = made_up_manifest(labels=tuple(labels))

    assert read_manifest(manifest.to_json()) == manifest


def test_the_file_is_for_people_too() -> None:
    """The file is indented UTF-8 with labels as they are, and ends with a line feed."""
    written = made_up_manifest(labels=("çà", "дом")).to_json()

    assert written.endswith(b"}\n")
    assert '\n    "çà",\n    "дом"\n' in written.decode()


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, "2", None])
def test_another_format_version_is_refused(version: object) -> None:
    """A bundle of a format that this program does not know is not guessed at."""
    with pytest.raises(InvalidBundle, match="format_version"):
        read_manifest(edited("format_version", version))


@pytest.mark.parametrize(
    "place", ["name", "version", "created", "labels", "input", "claim", "training", "files", "claim.confusion"]
)
def test_a_missing_field_is_refused(place: str) -> None:
    """A manifest without one of its fields is refused, and the message names the field."""
    with pytest.raises(InvalidBundle, match=f"manifest.json: {place}: .*required"):
        read_manifest(edited(place, MISSING))


@pytest.mark.parametrize("place", ["surprise", "claim.surprise", "training.surprise", "input.surprise"])
def test_an_unknown_field_is_refused(place: str) -> None:
    """What this program does not know is refused instead of dropped."""
    with pytest.raises(InvalidBundle, match=place):
        read_manifest(edited(place, 1))


@pytest.mark.parametrize("rules", [RULES + 1, 99])
def test_unknown_decoding_rules_are_refused(rules: int) -> None:
    """A model is right only under the rules that it was trained with; no others are guessed at."""
    with pytest.raises(
        InvalidBundle, match=rf"input.*decoding rules {rules} need a newer Vouch; this one supports .* 4"
    ):
        read_manifest(edited("input.rules", rules))


def test_a_manifest_without_rules_keeps_the_first() -> None:
    """That is how its model was trained; they have neither a ground nor bits."""
    content = json.loads(made_up_manifest().to_json())
    for newer in ("rules", "bits", "ground", "fit"):
        del content["input"][newer]
    old = json.dumps(content).encode()

    assert made_up_manifest().input.rules == RULES == 4
    assert read_manifest(old).input == PixelSettings(rules=FIRST_RULES, height=4, width=5)
    for added in ({"bits": 10}, {"ground": "#000000"}):
        with pytest.raises(InvalidBundle, match="decoding rules 1 have neither bits nor a ground"):
            read_manifest(json.dumps(content | {"input": content["input"] | added}).encode())


def test_a_manifest_without_a_fit_stretches() -> None:
    """As all did before there was another; rules of that time have no other."""
    content = json.loads(made_up_manifest().to_json())
    content["input"]["rules"] = 2
    del content["input"]["fit"]

    assert read_manifest(json.dumps(content).encode()).input.fit == "stretch"
    content["input"]["fit"] = "crop"
    with pytest.raises(InvalidBundle, match="input: decoding rules 2 always stretch; they have no fit"):
        read_manifest(json.dumps(content).encode())


@pytest.mark.parametrize("labels", [("cat", "dog", "cat"), ("cat",), (), ("cat", "dog")])
def test_labels_name_each_class_once(labels: tuple[str, ...]) -> None:
    """Labels that repeat, are too few, or are not as many as the claim's classes are refused."""
    with pytest.raises(InvalidBundle, match="label"):
        read_manifest(edited("labels", labels))


@pytest.mark.parametrize(
    "confusion",
    [
        columns([0, 1, 2], [0, 1, 2], [1, 2, 2]),
        columns([0, 1, 2], [0, 1, 2], [2, 2, 2]),
        columns([0, 0, 1, 2], [0, 1, 1, 2], [1, 1, 2]),
        columns([0, 0, 1, 2], [1, 0, 1, 2], [1, 1, 2, 2]),
        columns([0, 0, 1, 2, 2], [0, 1, 1, 2, 2], [1, 1, 2, 1, 1]),
        columns([], [], []),
        [[1, 0, 0], [0, 2, 0], [0, 0, 2]],
        [[2, 0, 0], [0, 2, 0], [0, 0, 2]],
        [[1, 1, 0], [0, 2, 0]],
        [[1, 1], [0, 2], [0, 2]],
        [[1, 1, 0], [0, 2, 0], [1, -1, 2]],
        [],
    ],
    ids=[
        *("total", "correct", "length", "order", "twice", "nothing"),
        *("total of rows", "correct of rows", "rows", "columns", "negative", "empty"),
    ],
)
def test_the_confusion_matrix_must_add_up(confusion: object) -> None:
    """One that does not add up to the claim, is not in order, or in formats 1 and 2 no square of counts, is refused."""
    with pytest.raises(InvalidBundle, match="confusion matrix"):
        read_manifest(edited("claim.confusion", confusion))


@pytest.mark.parametrize(
    ("confusion", "place"),
    [
        (columns([0, 0, 1, -1], [0, 1, 1, 2], [1, 1, 2, 2]), "claim.confusion.labels.3"),
        (columns([0, 0, 1, 2], [0, 1, 1, 10_000], [1, 1, 2, 2]), "claim.confusion.answers.3"),
        (columns([0, 0, 1, 2, 2], [0, 1, 1, 1, 2], [1, 1, 2, 0, 2]), "claim.confusion.images.3"),
        (columns([0, 0, 1, 2], [0, 1, 1, 2], [1, 1, 2, 2]) | {"more": []}, "claim.confusion.more"),
    ],
)
def test_a_value_of_the_confusion_matrix_out_of_range_is_refused(confusion: object, place: str) -> None:
    """By its place."""
    with pytest.raises(InvalidBundle, match=place):
        read_manifest(edited("claim.confusion", confusion))


def test_a_confusion_matrix_of_more_classes_than_labels_is_refused() -> None:
    """Its positions are positions in the labels."""
    with pytest.raises(InvalidBundle, match="3 labels, but the claim has counts for 4"):
        read_manifest(edited("claim.confusion", columns([0, 0, 1, 3], [0, 1, 1, 3], [1, 1, 2, 2])))


@pytest.mark.parametrize("version", [1, 2])
def test_answers_came_with_format_3(version: int) -> None:
    """With them the digest of the validation split, which format 3 must have."""
    with pytest.raises(InvalidBundle, match=f"format {version} has no validation_digest"):
        read_manifest(edited("format_version", version))
    with pytest.raises(InvalidBundle, match="format 3 has a validation_digest"):
        read_manifest(edited("validation_digest", None))


def test_a_validation_split_lies_in_one_file() -> None:
    """Arrays or files, never both; files only in format 3."""
    both = {"model.onnx": FILE, "validation.npz": FILE, "validation.zip": FILE}
    files = {"model.onnx": FILE, "validation.zip": FILE}
    older = json.loads(older_manifest(made_up_manifest())) | {"format_version": 2, "files": files}

    assert read_manifest(edited("files", files)).validation_file == "validation.zip"
    for content in (edited("files", both), json.dumps(older).encode()):
        with pytest.raises(InvalidBundle, match=r"expected only validation\.npz, or in format 3 only validation\.zip"):
            read_manifest(content)


@pytest.mark.parametrize("name", ["../model.onnx", "a/b", "/etc/passwd", ".hidden", "..", "manifest.json"])
def test_files_stay_in_the_bundle(name: str) -> None:
    """A manifest cannot name a file outside its folder, a hidden one, or itself."""
    files = {"model.onnx": FILE, "validation.npz": FILE, name: FILE}

    with pytest.raises(InvalidBundle, match="own folder"):
        read_manifest(edited("files", files))


@pytest.mark.parametrize("name", ["model.onnx", "validation.npz"])
def test_model_and_validation_must_be_listed(name: str) -> None:
    """A bundle that lacks the graph or the images to recount it on is refused."""
    files = {"model.onnx": FILE, "validation.npz": FILE}
    del files[name]

    with pytest.raises(InvalidBundle, match=name):
        read_manifest(edited("files", files))


@pytest.mark.parametrize("name", ["", "Pets", "../pets", "a/b", ".pets", "-pets", "pets\n", "p" * 64, "käfer"])
def test_a_name_that_is_no_plain_folder_name_is_refused(name: str) -> None:
    """Names are 1 to 63 of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit."""
    with pytest.raises(InvalidBundle, match=r"manifest\.json: name"):
        read_manifest(edited("name", name))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("version", 0),
        ("task", "detection"),
        ("created", "yesterday"),
        ("claim", 5),
        ("claim", []),
        ("claim", None),
        ("claim.total", 0),
        ("claim.correct", -1),
        ("thresholds", 0.5),
        ("thresholds", [float("nan")] * 3),
        ("input.height", 0),
        ("input.channels", 5),
        ("input.resample", "nearest"),
        ("input.rules", 0),
        ("input.bits", 7),
        ("input.bits", 17),
        ("input.ground", "white"),
        ("training.data_digest", "abc"),
        ("training.data_digest", DIGEST.replace("0", "G")),
        ("training.splits", {"test": {"size": 1, "digest": DIGEST}}),
        ("training.seconds", -1),
        ("training.settings", {"epochs": 3}),
        ("training.asked", {"a" * 65: 1}),
        ("training.asked", {"later": {"nested": 1}}),
        ("training.asked", {f"setting {number}": 1 for number in range(201)}),
        ("training.recipe", {"epochs": 1}),
        ("training.circumstances", {"flags": ["avx2"] * 65}),
        ("training.circumstances", {"host": "mine"}),
        ("training.history", {"fit_loss": [1.0], "tune_loss": [1.0, 2.0]}),
        ("training.data", "x" * 1_001),
        ("training.libraries", {f"library {number}": "1" for number in range(201)}),
    ],
)
def test_a_value_out_of_range_is_refused(place: str, value: object) -> None:
    """A value that the field does not allow is refused, and the message names the field."""
    with pytest.raises(InvalidBundle, match=place.split(".", maxsplit=1)[0]):
        read_manifest(edited(place, value))


@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_anything_else_is_refused(content: bytes) -> None:
    """Bytes that are no manifest raise InvalidBundle, never anything else."""
    with pytest.raises(InvalidBundle, match=r"manifest\.json"):
        read_manifest(content)


def test_the_claim_tells_each_class() -> None:
    """The counts of the classes are the rows of the confusion matrix, in the order of the labels."""
    claim = made_up_manifest().claim
    assert isinstance(claim, Claim)

    assert [(part.correct, part.total) for part in claim.per_class(len(LABELS))] == [(1, 2), (2, 2), (2, 2)]
    assert (claim.accuracy.correct, claim.accuracy.total) == (5, 6)


def test_the_first_format_is_still_read() -> None:
    """Bundles of format 1 have no calibration and nothing else of format 2."""
    older = json.loads(older_manifest(made_up_manifest())) | {"format_version": 1}
    del older["calibration"], older["quantization"]
    found = read_manifest(json.dumps(older).encode())

    assert (found.format_version, found.calibration, found.quantization) == (1, None, None)
    assert found.claim == made_up_manifest().claim
