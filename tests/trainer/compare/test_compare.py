import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from tests.support.tiny import (
    ROTATED,
    microsoft_graph,
    publish_tiny,
    several_probabilities,
    several_validation,
    tiny_graph,
    tiny_probabilities,
    tiny_validation,
)
from vouch.bundle.errors import BundleError
from vouch.bundle.listed import CARD
from vouch.bundle.mcnemar import mcnemar
from vouch.bundle.opening import Bundle
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.store import ModelsFolder
from vouch.bundle.validation import Validation
from vouch.trainer.commands import compare as command
from vouch.trainer.compare.compare import Difference, compare
from vouch.trainer.compare.comparison import as_json, text
from vouch.trainer.compare.right_answers import RightAnswers

SWAPPED = (1, 0, 2)


@pytest.fixture
def folder(tmp_path: Path) -> ModelsFolder:
    return ModelsFolder(tmp_path / "models")


def of(bundle: Bundle, *others: Bundle) -> tuple[Difference | str, ...]:
    return compare([bundle.path, *(other.path for other in others)]).differences


def test_images_that_only_one_is_right_on_are_counted(folder: ModelsFolder) -> None:
    """By hand: the swapped graph calls a first a second and the other way round."""
    validation = tiny_validation()
    said = tiny_probabilities(validation.images).argmax(axis=1)
    right, other = said == validation.labels, np.array(SWAPPED)[said] == validation.labels
    (found,) = of(publish_tiny(folder), publish_tiny(folder, graph=tiny_graph(SWAPPED), older=True))

    only = int((right & ~other).sum()), int((other & ~right).sum())
    assert found == Difference(300, *only, mcnemar(*only))
    assert min(only) > 0


def test_a_model_is_as_good_as_itself(folder: ModelsFolder) -> None:
    """The same bundle twice: no image tells them apart, and nothing is more than chance."""
    bundle = publish_tiny(folder)

    assert of(bundle, bundle) == (Difference(300, 0, 0, 1.0),)


def test_images_are_known_again_in_another_order_and_among_others(folder: ModelsFolder) -> None:
    """What both were validated on is found by pixels and label: a part of the images, turned round, some twice."""
    whole = tiny_validation()
    rows = np.array([250, 7, 7, *range(100, 40, -1)])
    part = Validation(whole.images[rows], whole.labels[rows])
    (found,) = of(publish_tiny(folder), publish_tiny(folder, validation=part, graph=tiny_graph(ROTATED), older=True))
    assert isinstance(found, Difference)

    assert found.images == 62
    assert found.only_first + found.only_this > 40


def test_an_image_with_another_label_is_another_question(folder: ModelsFolder) -> None:
    """A split that was labelled anew is not the same split."""
    whole = tiny_validation()
    other = Validation(whole.images, (whole.labels + 1) % 3)
    (found,) = of(publish_tiny(folder), publish_tiny(folder, validation=other))

    assert found == "the two have no common validation images, so their difference cannot be tested"


def test_other_classes_are_no_common_question(folder: ModelsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is printed all the same."""
    first = publish_tiny(folder)
    monkeypatch.setattr("tests.support.tiny.LABELS", ("cat", "dog", "ant"))
    comparison = compare([first.path, publish_tiny(folder, name="pets").path])

    assert "B compared with A: it has other classes" in text(comparison)
    assert "right answers" in text(comparison)


def test_with_several_labels_whole_images_are_right(folder: ModelsFolder) -> None:
    """At the thresholds that the bundle answers by."""
    validation = several_validation()
    first = publish_tiny(folder, task="multi_label")
    second = publish_tiny(folder, task="multi_label", graph=tiny_graph(ROTATED, task="multi_label"), older=True)
    (found,) = of(first, second)
    assert isinstance(found, Difference)
    assert first.manifest.thresholds is not None
    answered = several_probabilities(validation.images) >= np.array(first.manifest.thresholds, np.float32)
    right = (answered == validation.labels).all(axis=1)
    other = (answered[:, list(ROTATED)] == validation.labels).all(axis=1)
    other_way = (answered[:, np.argsort(ROTATED)] == validation.labels).all(axis=1)

    assert found.images == 300
    assert found.only_first in (int((right & ~other).sum()), int((right & ~other_way).sum()))
    assert found.only_first > 100


def test_several_comparisons_are_corrected_for(folder: ModelsFolder) -> None:
    """The same difference is worth less among three than alone."""
    first = publish_tiny(folder)
    whole = tiny_validation()
    few = Validation(whole.images[30:45], whole.labels[30:45])
    second = publish_tiny(folder, validation=few, graph=tiny_graph(SWAPPED), older=True)
    (alone,) = of(first, second)
    among = of(first, second, second, second)
    assert isinstance(alone, Difference)

    assert [one.p_value for one in among if isinstance(one, Difference)] == pytest.approx([3 * alone.p_value] * 3)
    assert "corrected for 3 comparisons (Holm)" in text(compare([first.path, *[second.path] * 3]))


def test_one_label_and_several_are_no_common_question(folder: ModelsFolder) -> None:
    """An image with one label may look the same to both, but one answer and a set of answers are right otherwise."""
    (found,) = of(publish_tiny(folder), publish_tiny(folder, task="multi_label"))

    assert isinstance(found, str)
    assert found.startswith("it answers several labels per image, the first one label per image")


def test_labels_in_another_order_are_the_same_labels(folder: ModelsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are known again by the names of their labels: a bundle that counts them otherwise is right on the same."""
    first = publish_tiny(folder)
    whole = tiny_validation()
    monkeypatch.setattr("tests.support.tiny.LABELS", ("second", "first", "third"))
    swapped = Validation(whole.images, np.array(SWAPPED)[whole.labels])
    (found,) = of(first, publish_tiny(folder, graph=tiny_graph(SWAPPED), older=True, validation=swapped))

    assert found == Difference(300, 0, 0, 1.0)


def test_images_of_another_shape_are_no_common_question(folder: ModelsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes in other rows are another image; it is said which shapes there are."""
    first, second = publish_tiny(folder), publish_tiny(folder)
    turned = second.manifest.model_copy(update={"input": PixelSettings(height=2, width=8)})
    opened = {first.path: first, second.path: Bundle(second.path, turned, second.digest)}
    monkeypatch.setattr("vouch.trainer.compare.compare.open_bundle", opened.__getitem__)
    monkeypatch.setattr(
        "vouch.trainer.compare.compare.right_answers", lambda bundle: RightAnswers({(b"", ("first",), 0): True})
    )

    assert of(first, second) == ("its images are of 2 x 8, those of the first of 4 x 4, so they have no common images",)


def test_what_cannot_be_compared_counts_for_no_correction(folder: ModelsFolder) -> None:
    """One test among three bundles is one test."""
    first, second = publish_tiny(folder), publish_tiny(folder, graph=tiny_graph(SWAPPED), older=True)
    other = publish_tiny(folder, task="multi_label")
    alone, reason, again = *of(first, second), *of(first, other, second)

    assert isinstance(reason, str)
    assert again == alone


def test_what_was_counted_is_told_beside_what_is_claimed(folder: ModelsFolder) -> None:
    """The graph that looks at the wrong rows is right on the 30 images whose labels are wrong, whatever it claims."""
    comparison = compare([publish_tiny(folder).path, publish_tiny(folder, graph=tiny_graph(ROTATED), older=True).path])

    assert [counted.correct for counted in comparison.counted] == [270, 30]
    assert [bundle.manifest.claim.correct for bundle in comparison.bundles] == [270, 270]


def test_nothing_is_run_before_every_file_is_checked(folder: ModelsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed card of the last bundle keeps the first from being run, as `vouch verify` has it."""
    ran_bundles: list[Bundle] = []
    monkeypatch.setattr("vouch.trainer.compare.compare.right_answers", ran_bundles.append)
    first, second = publish_tiny(folder), publish_tiny(folder)
    (second.path / CARD).write_bytes(b"# tinY\n")

    with pytest.raises(BundleError, match=r"README\.md is not the file that was published"):
        of(first, second)
    assert ran_bundles == []


def test_operators_of_another_domain_are_run_only_where_that_is_allowed(folder: ModelsFolder) -> None:
    """By its name, as `vouch serve` has it."""
    paths = [str(publish_tiny(folder).path), str(publish_tiny(folder, graph=microsoft_graph(), older=True).path)]
    code, _, err = ran(*paths)

    assert code == 1
    assert "model.onnx has operators of the domain 'com.microsoft'" in err
    assert ran(*paths, "--allow-domain", "com.microsoft")[0] == 0


def ran(*arguments: str) -> tuple[int, str, str]:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = command(arguments)
    return code, out.getvalue(), err.getvalue()


@pytest.mark.usefixtures("no_settings")
def test_the_command(folder: ModelsFolder) -> None:
    """People read a table and a verdict; programs one JSON object."""
    one, two = publish_tiny(folder), publish_tiny(folder, graph=tiny_graph(ROTATED), older=True)
    code, out, _ = ran(str(one.path), str(two.path))
    result = json.loads(ran(str(one.path), str(two.path), "--json")[1])

    assert code == 0
    assert f"A  {one.path}: tiny version 1\nB  {two.path}: tiny version 2\n" in out
    assert "B compared with A: of 300 common validation images, only B is right for " in out
    assert "(McNemar), significant at 5 %." in out
    assert result == as_json(compare([one.path, two.path]))
    assert result["differences"][0]["more_than_chance"] is True
    assert result["bundles"][0]["claim"]["correct"] == 270


@pytest.mark.usefixtures("no_settings")
def test_wrong_usage_and_errors(folder: ModelsFolder, tmp_path: Path) -> None:
    """One bundle alone is wrong usage; a folder that holds none is an error; both are said."""
    bundle = publish_tiny(folder)
    with pytest.raises(SystemExit) as usage, redirect_stderr(io.StringIO()) as said:
        command([str(bundle.path)])
    code, out, err = ran(str(bundle.path), str(tmp_path / "nothing"))

    assert usage.value.code == 2
    assert "expected two or more bundles to compare, got 1" in said.getvalue()
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {tmp_path / 'nothing'} is not a bundle")
