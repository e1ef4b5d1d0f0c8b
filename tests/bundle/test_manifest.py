import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bundle.made_up import DIGEST, LABELS, made_up_manifest
from tests.support.older import older_manifest
from vouch.bundle.accuracy import wilson_interval
from vouch.bundle.claims import Claim, MultiLabelClaim
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.manifest import FORMAT_VERSION, is_class_name, read_manifest
from vouch.bundle.multi_label import MultiLabelTally
from vouch.bundle.pixel_settings import FIRST_RULES, RULES, PixelSettings
from vouch.bundle.quantization import numbers_in_words
from vouch.bundle.tally import Tally

FILE = {"sha256": DIGEST, "size": 1}
MISSING = object()


def edited(place: str, value: object) -> bytes:
    """The made-up manifest as JSON with another value at this dotted place."""
    content: dict[str, Any] = json.loads(made_up_manifest().to_json())
    *way, last = place.split(".")
    part = content
    for key in way:
        part = part[key]
    if value is MISSING:
        del part[last]
    else:
        part[last] = value
    return json.dumps(content).encode()


def columns(labels: list[int], answers: list[int], images: list[int]) -> dict[str, list[int]]:
    """A confusion matrix as format 3 has it."""
    return {"labels": labels, "answers": answers, "images": images}


def before(place: str, value: object) -> bytes:
    """The same of format 2."""
    content: dict[str, Any] = json.loads(edited(place, value)) | {"format_version": 2}
    del content["validation_digest"]
    return json.dumps(content).encode()


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


def calibrated(**changes: Any) -> dict[str, Any]:
    """A calibration that fits the made-up manifest, with other values in its first coverage."""
    total = made_up_manifest().claim.total
    coverage = {"promised": 0.9, "threshold": 0.4, "covered": total, "total": total, "mean_size": 1.5} | changes
    more = {"promised": 0.99, "threshold": 0.0, "covered": total, "total": total, "mean_size": 3.0}
    return {"temperature": 1.25, "error_before": 0.1, "error_after": 0.01, "coverages": [coverage, more]}


@pytest.mark.parametrize("temperature", [0, -1, 1e308, float("inf"), float("nan")])
def test_a_temperature_that_nobody_fits_is_refused(temperature: float) -> None:
    """Scores without it would be infinite, and no figure could be counted again."""
    with pytest.raises(InvalidBundle, match=r"calibration\.temperature"):
        read_manifest(edited("calibration", calibrated() | {"temperature": temperature}))


@pytest.mark.parametrize("interval", [(0.02, 0.03), (0.0, 0.005), (-0.1, 0.1), (0.0, 1.1), (float("nan"), 0.1)])
def test_an_interval_holds_the_error(interval: tuple[float, float]) -> None:
    """And lies within 0 to 1; where none is stated, as in older bundles, there is none."""
    with pytest.raises(InvalidBundle, match="the calibration error is not within its interval"):
        read_manifest(edited("calibration", calibrated() | {"error_interval": interval}))
    older = read_manifest(edited("calibration", calibrated())).calibration
    assert older is not None
    assert older.error_interval is None


def test_calibration_is_read_back() -> None:
    """What is promised, and what was kept of it, says the same after it was written and read."""
    manifest = read_manifest(edited("calibration", calibrated()))
    assert manifest.calibration is not None

    assert read_manifest(manifest.to_json()) == manifest
    assert [one.promised for one in manifest.calibration.coverages] == [0.9, 0.99]
    assert manifest.calibration.coverages[0].counted.accuracy == 1


def by_class(**changes: Any) -> dict[str, Any]:
    """A calibration by class that fits the made-up manifest, with other values in what concerns the classes."""
    claim = made_up_manifest().claim
    assert isinstance(claim, Claim)
    total = [one.total for one in claim.per_class(len(LABELS))]
    each = {"thresholds": [0.1, 0.2, 0.3], "judged": [30, 40, 50], "covered": total, "total": total} | changes
    settled = calibrated(threshold=0.1, by_class=each)
    return settled | {"coverages": settled["coverages"][:1], "method": "split", "judged": 120}


def test_a_coverage_by_class_is_read_back() -> None:
    """Thresholds and counts of each class; as JSON too."""
    manifest = read_manifest(edited("calibration", by_class()))
    assert manifest.calibration is not None
    (coverage,) = manifest.calibration.coverages

    assert read_manifest(manifest.to_json()) == manifest
    assert coverage.kept
    assert list(np.atleast_1d(coverage.thresholds)) == [0.1, 0.2, 0.3]
    assert manifest.calibration.as_json()["coverages"][0]["by_class"]["judged"] == (30, 40, 50)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": [0.1, 0.2]}, "expected thresholds and counts of each class"),
        ({"thresholds": [0.1, 0.2, 1.5]}, "less than or equal to 1"),
        ({"thresholds": [0.2, 0.2, 0.3]}, "the threshold is not the lowest"),
        ({"judged": [30]}, "expected thresholds and counts of each class"),
        ({"covered": [3, 1, 2]}, "not more covered images than images"),
        ({"covered": [1, 2, 1]}, "do not add up"),
        ({"total": [3, 3, 2]}, "do not add up"),
        ({"total": [3, 1, 2], "covered": [3, 1, 2]}, "by class was not counted on the claim's images"),
    ],
)
def test_a_coverage_by_class_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    """Columns of equal length that add up to all images, which are those of the claim."""
    with pytest.raises(InvalidBundle, match=message):
        read_manifest(edited("calibration", by_class(**changes)))


def test_a_coverage_withheld_for_an_unknown_class_is_refused() -> None:
    """Its name would be shown to people."""
    settled = by_class() | {"withheld": [WITHHELD | {"smallest": "nobody"}]}
    with pytest.raises(InvalidBundle, match="withheld for an unknown class"):
        read_manifest(edited("calibration", settled))


WITHHELD = {"coverage": 0.95, "needed": 45, "judged": 30}


@pytest.mark.parametrize(
    "basis",
    [
        {"method": "split", "judged": 30, "withheld": [WITHHELD]},
        {"method": "cross", "judged": 30, "folds": 5},
        {"method": "cross", "judged": 0, "folds": 1},
    ],
    ids=["split", "cross", "nobody"],
)
def test_what_promises_rest_on_is_read_back(basis: dict[str, Any]) -> None:
    """The method, the number of images, and what they were too few for; older bundles have none of it."""
    manifest = read_manifest(edited("calibration", calibrated() | basis))
    older = read_manifest(edited("calibration", calibrated())).calibration
    assert manifest.calibration is not None
    assert older is not None

    assert read_manifest(manifest.to_json()) == manifest
    assert manifest.calibration.as_json()["judged"] == basis["judged"]
    assert (older.method, older.judged, older.folds, older.withheld) == (None, None, None, ())


@pytest.mark.parametrize(
    ("basis", "message"),
    [
        ({"method": "split"}, "expected a method with the number of images that judged"),
        ({"judged": 30}, "expected a method with the number of images that judged"),
        ({"method": "cross", "judged": 30}, "for cross of folds"),
        ({"method": "split", "judged": 30, "folds": 5}, "for cross of folds"),
        ({"withheld": [WITHHELD | {"coverage": 0.9}]}, "or are promised too"),
        ({"withheld": [WITHHELD, WITHHELD]}, "do not rise"),
    ],
)
def test_a_basis_that_contradicts_itself_is_refused(basis: dict[str, Any], message: str) -> None:
    """Method, images and folds go together, and nothing is promised and withheld."""
    with pytest.raises(InvalidBundle, match=message):
        read_manifest(edited("calibration", calibrated() | basis))


@pytest.mark.parametrize(
    "changes",
    [
        {"promised": 1.0},
        {"promised": 0.99},
        {"promised": 0.995},
        {"threshold": 1.5},
        {"covered": 100},
        {"total": 100},
        {"mean_size": 0.5},
        {"mean_size": 3.5},
    ],
)
def test_a_promise_that_cannot_be_is_refused(changes: dict[str, float]) -> None:
    """Promises that do not rise, counts that do not fit the claim's images, sets larger than all labels."""
    with pytest.raises(InvalidBundle):
        read_manifest(edited("calibration", calibrated(**changes)))


def test_the_first_format_is_still_read() -> None:
    """Bundles of format 1 have no calibration and nothing else of format 2."""
    older = json.loads(older_manifest(made_up_manifest())) | {"format_version": 1}
    del older["calibration"], older["quantization"]
    found = read_manifest(json.dumps(older).encode())

    assert (found.format_version, found.calibration, found.quantization) == (1, None, None)
    assert found.claim == made_up_manifest().claim


def quantized(**changes: Any) -> dict[str, Any]:
    """An int8 graph that lost one of 1,000 answers, with other values where they are given."""
    counts = {"float_tune": {"correct": 990, "total": 1000}, "tune": {"correct": 989, "total": 1000}}
    return {"kind": "int8", **counts, "max_drop": 0.1} | changes


def test_a_smaller_graph_says_what_it_cost() -> None:
    """The counts of both graphs on tune stand in the manifest."""
    found = read_manifest(edited("quantization", quantized()))
    assert found.quantization is not None

    assert read_manifest(found.to_json()) == found
    assert found.quantization.tune.accuracy.accuracy == 0.989
    assert found.quantization.only_float is None  # of a bundle from before pairs were counted
    assert made_up_manifest().quantization is None


def test_what_a_graph_computes_with_is_said_in_words() -> None:
    """With the pairs where they were counted, and with the reason where int8 was refused."""
    older, counted = (
        read_manifest(edited("quantization", quantized(**pairs))).quantization
        for pairs in ({}, {"only_float": 2, "only_int8": 1})
    )
    assert older
    assert counted

    assert older.in_words() == "989 of 1,000 judged images right, in float32 990"
    assert numbers_in_words(counted, None) == (
        "int8: 989 of 1,000 judged images right, in float32 990; 2 in float32 alone, 1 in int8 alone "
        "(McNemar's one-sided test: p = 0.5)"
    )
    assert numbers_in_words(None, "too few images") == "float32, not int8: too few images"
    assert numbers_in_words(None, None) is None


def test_why_there_is_no_smaller_graph_is_kept() -> None:
    """Where it was asked for and refused; it cannot be there as well."""
    refused = edited("quantization_refused", "too few images")
    both = json.dumps(json.loads(refused) | {"quantization": quantized()}).encode()

    assert read_manifest(refused).quantization_refused == "too few images"
    assert made_up_manifest().quantization_refused is None
    with pytest.raises(InvalidBundle, match="both present and refused"):
        read_manifest(both)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "int4"}, "int8"),
        ({"max_drop": 0.05}, "lost 0.10 percentage points"),
        ({"tune": {"correct": 989, "total": 999}}, "same judged images"),
        ({"tune": {"correct": 1, "total": 10**30}}, "less than or equal to"),
        ({"only_float": 3}, "both only_float and only_int8, or neither"),
        ({"only_float": 3, "only_int8": 3}, "do not fit their counts"),
        ({"only_float": 991, "only_int8": 990}, "do not fit their counts"),
        ({"only_float": 21, "only_int8": 20}, "by either graph than were judged"),
        ({"tune": {"correct": 1001, "total": 1000}}, "1001 correct of 1000"),
        ({"float_tune": {"correct": 0, "total": 0}}, "greater than"),
        ({"max_drop": float("nan")}, "quantization"),
    ],
)
def test_a_smaller_graph_that_lost_more_than_allowed_is_refused(changes: dict[str, Any], message: str) -> None:
    """As are counts that cannot be."""
    with pytest.raises(InvalidBundle, match=message):
        read_manifest(edited("quantization", quantized(**changes)))


@pytest.mark.parametrize("place", ["calibration", "quantization", "quantization_refused"])
def test_the_first_format_has_neither(place: str) -> None:
    """A file that says it is of format 1 and has parts of format 2 is not what it says."""
    value = {"calibration": calibrated(), "quantization": quantized(), "quantization_refused": "too few"}[place]
    content = json.loads(older_manifest(made_up_manifest())) | {"format_version": 1, place: value}

    with pytest.raises(InvalidBundle, match=f"format 1 has no {place}"):
        read_manifest(json.dumps(content).encode())


def several(**changes: Any) -> bytes:
    """The made-up manifest as one of a multi-label model, with other values at its top."""
    content = json.loads(made_up_manifest().to_json())
    low, high = wilson_interval(4, 6)
    per_label = [[[2, 1], [0, 3]], [[4, 0], [1, 1]], [[3, 0], [0, 3]]]
    claim = {"correct": 4, "total": 6, "low": low, "high": high, "per_label": per_label}
    return json.dumps(
        content | {"task": "multi_label", "claim": claim, "thresholds": [0.5, 0.25, 0.75]} | changes
    ).encode()


def test_a_multi_label_manifest_is_read_back() -> None:
    """It says the same after it was written and read; its empty count has its thresholds."""
    manifest = read_manifest(several())
    tally = manifest.new_tally()

    assert read_manifest(manifest.to_json()) == manifest
    assert isinstance(manifest.claim, MultiLabelClaim)
    assert manifest.claim.per_label[1] == ((4, 0), (1, 1))
    assert isinstance(tally, MultiLabelTally)
    assert tally.thresholds == (0.5, 0.25, 0.75)
    assert isinstance(made_up_manifest().new_tally(), Tally)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": None}, "expected 3 thresholds"),
        ({"thresholds": [0.5, 0.5]}, "expected 3 thresholds"),
        ({"thresholds": [0.5, 0.5, 1.5]}, "thresholds.2"),
        ({"thresholds": [0.5, 0.1, 0.5]}, r"thresholds\.1: .*float32"),
        ({"task": "single_label"}, "does not fit a single_label model"),
        ({"labels": ["cat", "dog"]}, "2 labels, but the claim has counts for 3"),
        ({"format_version": 1, "validation_digest": None}, "format 1 has no thresholds"),
        ({"claim": json.loads(made_up_manifest().to_json())["claim"]}, "does not fit a multi_label model"),
    ],
)
def test_parts_of_another_task_are_refused(changes: dict[str, Any], message: str) -> None:
    """Task, claim, labels and thresholds go together."""
    with pytest.raises(InvalidBundle, match=message):
        read_manifest(several(**changes))


def test_thresholds_of_a_single_label_model_are_refused() -> None:
    """It answers the most probable class."""
    with pytest.raises(InvalidBundle, match="expected no thresholds"):
        read_manifest(edited("thresholds", [0.5, 0.5, 0.5]))


def test_a_coverage_of_several_labels_is_refused() -> None:
    """Promises are about sets that contain the one truth; a temperature and its errors are welcome."""
    settled = calibrated()

    assert read_manifest(several(calibration=settled | {"coverages": []})).calibration is not None
    for promises in ({}, {"coverages": [], "withheld": [WITHHELD]}):
        with pytest.raises(InvalidBundle, match="for single-label models"):
            read_manifest(several(calibration=settled | promises))


@pytest.mark.parametrize(
    ("per_label", "message"),
    [
        ([[[2, 1], [0, 3]], [[4, 0], [1, 1]]], "the claim has counts for 2"),
        ([[[2, 1], [0, 3]], [[4, 0], [1, 1]], [[3, 0], [0, 4]]], "do not add up"),
        ([[[3, 1], [-1, 3]], [[4, 0], [1, 1]], [[3, 0], [0, 3]]], "claim.per_label.0.1.0"),
        ([[[3, 0], [0, 3]], [[4, 0], [1, 1]], [[3, 0], [0, 3]]], "claimed number of right images"),
        ([[[0, 3], [0, 3]], [[4, 0], [1, 1]], [[3, 0], [0, 3]]], "claimed number of right images"),
        ([[[2, 1, 0], [0, 3]], [[4, 0], [1, 1]], [[3, 0], [0, 3]]], "claim.per_label.0.0"),
        ([], "do not fit|counts for 0"),
    ],
    ids=["labels", "total", "negative", "too few wrong", "too many wrong", "columns", "empty"],
)
def test_the_counts_of_the_labels_must_go_with_the_claim(per_label: list[Any], message: str) -> None:
    """Each label's counts are of all images; a wrong image is wrong in at least one label, and no other is."""
    content = json.loads(several())
    content["claim"]["per_label"] = per_label

    with pytest.raises(InvalidBundle, match=message):
        read_manifest(json.dumps(content).encode())


MEGABYTES = 5


def many(value: bytes, place: str) -> bytes:
    """Some megabytes of lists, strings or numbers where a list should be."""
    content = edited(place, "MANY")
    return content.replace(b'"MANY"', b"[" + value * (MEGABYTES * 1_000_000 // len(value)) + b"0]")


def many_names() -> bytes:
    """An object of 400,000 names."""
    return b"{" + b",".join(b'"%x":0' % number for number in range(400_000)) + b"}"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (lambda: many(b"[],", "training.settings"), "more than 25,000,000 values, or 100,000 lists"),
        (lambda: many(b"[],", "claim.confusion"), "more than 25,000,000 values, or 100,000 lists"),
        (many_names, "100,000 lists and names"),
        (lambda: many(b'"a",', "labels"), "at most 10000 items"),
        (lambda: before("claim.confusion", [[""] * 1_000_000]), "claim.confusion.0.0: "),
        (lambda: before("claim.confusion", [[0] * 1_000_000]), "claim.confusion.0: .*at most 10000 items"),
        (
            lambda: edited("claim.confusion", columns([0] * 1_000_001, [], [])),
            "claim.confusion.labels: .*at most 1000000 items",
        ),
        (lambda: edited("labels", ["a", "b", "c" * 5_000_000]), "at most 1000 characters"),
        (lambda: edited("files", {str(number): FILE for number in range(5000)}), "at most 64 items"),
    ],
    ids=["settings", "rows", "names", "labels", "strings", "row", "columns", "long", "files"],
)
def test_a_large_manifest_is_refused_in_little_memory(written: Callable[[], bytes], reason: str) -> None:
    """It takes a fixed multiple of its own size, where the first of a million mistakes is enough."""
    content = written()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidBundle, match=reason):
            read_manifest(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 20_000_000


def test_a_manifest_of_many_classes_is_read_and_written_before_too() -> None:
    """Ten thousand; before format 3, a thousand are 11 MB, and all limits are far."""
    labels = tuple(f"[{number}]: a, b" for number in range(10_000))
    many, fewer = made_up_manifest(labels=labels), made_up_manifest(labels=labels[:1000])
    older = json.loads(older_manifest(fewer)) | {"format_version": 2}

    assert read_manifest(many.to_json()) == many
    assert len(many.to_json()) < 2_000_000
    assert read_manifest(json.dumps(older).encode()).claim == fewer.claim
