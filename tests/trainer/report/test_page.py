import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.report.page_parts import Page, data_of
from tests.trainer.report.runs import RECIPE, finished, named, noise_splits, with_exam
from vouch.bundle.quantization import Count, Quantization
from vouch.bundle.reliability import Coverage, Withheld
from vouch.bundle.training import Augmentation
from vouch.sources.names import Names
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.acceptance import Quantized
from vouch.trainer.judge.graph import count_claim
from vouch.trainer.judge.hindsight import Hindsight
from vouch.trainer.report.finished import Run
from vouch.trainer.report.next_steps import next_steps
from vouch.trainer.report.outcome import worst_mistakes
from vouch.trainer.report.page import report_html
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.splits.split import Splits

ONE_EPOCH = replace(RECIPE, epochs=1)
HOSTILE = ("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "'\" &amp; {{ 7*7 }}", "Ünïcode 😀")


def test_every_part_of_the_story_is_there(digits_page: bytes) -> None:
    """The contents lead to sections that exist, story and measurements both."""
    page = Page(digits_page)
    inside = [link[1:] for link in page.links if link.startswith("#")]
    story = ["image", "weights", "scores", "loss", "step", "epochs", "layers", "try", "digests", "opposite"]
    measured = ["curves", "validation", "confusion", "mistakes", "doubts", "classes", "certainty", "next", "agreement"]
    measured += ["settings"]

    assert set(story + measured) <= set(inside)
    assert set(inside) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_the_page_needs_nothing_from_outside(digits_page: bytes) -> None:
    """No address but those of data inside the page, and a policy that forbids any other."""
    page = Page(digits_page)

    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert not re.search(rb"url\((?!data:|#)", digits_page)
    assert b"default-src 'none'" in digits_page


def test_pictures_have_words(digits_page: bytes) -> None:
    """Each image says what it shows, for who cannot see it."""
    alts = Page(digits_page).alts

    assert len(alts) > 40
    assert all(alts)


def test_the_numbers_are_those_of_the_run(digits_page: bytes, learned_digits: tuple[Run, Recorder]) -> None:
    """Claim, interval, digests and the first image's loss stand in the page."""
    run, recorder = learned_digits
    text = Page(digits_page).text
    first = next(iter(recorder.moments))

    assert f"{run.claim.accuracy:.2%}" in text
    assert f"95 % interval {run.claim.low:.2%} to {run.claim.high:.2%}" in text
    assert run.images.before in text
    assert run.weights.before in text
    assert run.weights.after in text
    assert f"{first.loss:.4f}" in text
    assert "answered them once" in re.sub(r"\s+", " ", text)


def test_where_it_was_fitted_is_told(digits_page: bytes) -> None:
    """Processor, instructions and threads decide the last bits of the weights; what nobody recorded has no line."""
    text = digits_page.decode()

    assert all(told in text for told in ("Where it was trained", "a made-up processor", "avx2 fma"))
    assert "device name" not in text


def test_the_same_run_gives_the_same_page(digits_page: bytes, learned_digits: tuple[Run, Recorder]) -> None:
    """Byte for byte: no date, no chance."""
    assert report_html(*learned_digits) == digits_page


def test_cells_hold_their_images(digits_page: bytes, learned_digits: tuple[Run, Recorder]) -> None:
    """Behind each cell of the confusion matrix stand images of that class with that answer, and no other."""
    run, _ = learned_digits
    labels, answers = run.splits.validation.labels, run.exam.probabilities.argmax(axis=1)
    cells = data_of(digits_page)["cells"]

    assert {tuple(map(int, key.split(","))) for key in cells} == set(
        zip(labels.tolist(), answers.tolist(), strict=True)
    )
    for key, images in cells.items():
        truth, answer = map(int, key.split(","))
        for _, row, of_truth, of_answer, name in images:
            assert name == run.splits.validation.names[row]
            assert (labels[row], answers[row]) == (truth, answer)
            assert of_truth == pytest.approx(run.exam.probabilities[row, truth], abs=1e-4)
            assert of_answer == pytest.approx(run.exam.probabilities[row, answer], abs=1e-4)


def test_mistakes_name_their_files() -> None:
    """The path from the data's folder on, in the list of the worst and behind the cells; it is never markup."""
    splits = noise_splits(("ants", "bees"), (6, 6))
    files = [f"val/b<i>ees/{row}.png" for row in range(len(splits.validation))]
    called = replace(splits, validation=replace(splits.validation, names=Names(folder=Path("data"), files=files)))
    run, recorder = finished(called, recipe=ONE_EPOCH)

    content = report_html(run, recorder)

    wrong = worst_mistakes(run.splits.validation.labels, run.exam.probabilities)
    assert len(wrong)
    assert all(files[row] in Page(content).text for row in wrong[:12])
    shown = {image[4] for images in data_of(content)["cells"].values() for image in images}
    assert shown == set(files)


def test_class_names_are_never_markup() -> None:
    """Names that look like tags, quotes or template code are shown as they are."""
    content = report_html(*finished(noise_splits(HOSTILE, (6, 6)), recipe=ONE_EPOCH))
    page = Page(content)

    assert page.tags.count("script") == 3
    assert "alert(1)" not in "".join(re.findall(r"<script>(.*?)</script>", content.decode(), re.DOTALL))
    assert "onerror" not in page.attributes
    assert all(name in page.text for name in HOSTILE)
    assert set(data_of(content)["names"].values()) == set(HOSTILE)


def test_the_gallery_gives_way_where_the_page_would_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer images stand behind the cells of large pictures of noise, until all fits."""
    run, recorder = finished(noise_splits(("a", "b", "c"), (60, 60, 3)), recipe=ONE_EPOCH)
    whole = report_html(run, recorder)
    monkeypatch.setattr("vouch.trainer.report.page.MAX_BYTES", len(whole) - 1)
    monkeypatch.setattr("vouch.trainer.report.page.GALLERY_SIZES", (1200, 5))
    smaller = report_html(run, recorder)

    assert sum(map(len, data_of(whole)["cells"].values())) == len(run.splits.validation)
    assert sum(map(len, data_of(smaller)["cells"].values())) == 5
    assert len(smaller) < len(whole)


def test_likely_label_errors_and_advice_stand_in_the_page(
    digits_page: bytes, learned_digits: tuple[Run, Recorder]
) -> None:
    """As many doubts as there are, 24 of them with their images; three sentences and their curve."""
    run, recorder = learned_digits
    seen = run.hindsight
    text = " ".join(Page(digits_page).text.split())
    none = text_of(replace(run, hindsight=Hindsight(reason="nobody had the time", no_curve="the ink is out")), recorder)

    assert f"{seen.contradicted} labels are contradicted, {seen.sure} of them with high confidence" in text
    doubt = seen.doubts[0]
    assert f"{doubt.part} image {doubt.row}, labelled {doubt.label}" in Page(digits_page).alts
    assert all(f"{sentence}." in text for sentence in next_steps(run).sentences)
    assert "Learning curve" in text
    assert "The labels of fit could not be checked, because nobody had the time" in none
    assert "No label is contradicted." in none
    nobody = Hindsight(reason="nobody had the time", by_model=False)
    assert "No label is contradicted" not in text_of(replace(run, hindsight=nobody), recorder)
    assert "Learning curve" not in none
    assert "There is no learning curve, because the ink is out." in none


def test_long_names_do_not_make_a_page_too_large() -> None:
    """A class's name may have a thousand letters and stands in hundreds of places, in the matrix alone in 400."""
    names = tuple(f"{number:02d}" + 998 * '"' for number in range(20))

    content = report_html(*finished(noise_splits(names, (2, 2)), recipe=ONE_EPOCH))

    assert len(content) < 2_000_000


def test_a_page_that_cannot_be_small_enough_is_an_error(
    learned_digits: tuple[Run, Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than a page that nobody's browser shows."""
    monkeypatch.setattr("vouch.trainer.report.page.MAX_BYTES", 10_000)

    with pytest.raises(TrainError, match="has .* bytes even without images"):
        report_html(*learned_digits)


def test_several_labels_have_scores_a_label_and_no_confusion_matrix() -> None:
    """What is taken for what has no meaning there; thresholds of their own decide what is answered."""
    splits = noise_splits(("a", "b", "c", "d"), (6, 6), several=True)
    run, recorder = finished(splits, recipe=ONE_EPOCH)
    page = Page(report_html(run, recorder))
    never = Page(report_html(with_exam(run, thresholds=(1.0,) * 4), recorder))

    assert "confusion" not in page.ids
    assert "A blind guess gives each label 50%." in page.text
    assert "0.00%" in never.text
    assert page.text != never.text


def test_what_the_trainer_measured_beside_is_shown(learned_digits: tuple[Run, Recorder]) -> None:
    """Temperature, coverage against promise, ONNX and int8 agreement appear with their numbers."""
    run, recorder = learned_digits
    promise = Coverage(promised=0.95, threshold=0.0789, covered=93, total=100, mean_size=1.35)
    basis = {"method": "cross", "judged": 60, "folds": 5, "withheld": (Withheld(coverage=0.99, needed=230, judged=60),)}
    calibration = run.exam.calibration.model_copy(update={"coverages": (promise,), **basis})
    counts = {"float_tune": Count(correct=99, total=100), "tune": Count(correct=98, total=100)}
    facts = Quantization(kind="int8", max_drop=1, only_float=2, only_int8=1, **counts)
    quantized = Quantized(b"", facts, 7, b"", np.empty((0, 10)))
    with_all = with_exam(run, calibration=calibration, quantized=quantized)
    text = re.sub(r"\s+", " ", Page(report_html(with_all, recorder)).text)
    without = re.sub(r"\s+", " ", Page(report_html(run, recorder)).text)
    refused = Page(report_html(with_exam(run, int8_refused="7 images are too few"), recorder)).text

    for words in (
        "Temperature 1.23:",
        "4.56%",
        "1.23%",
        "93 of 100",
        "1.35",
        "0.0789",
        "Label sets rest on out-of-fold answers to 60 images (cross, 5 folds), ",
        "No promise of 99%: it needs 230 calibration images, and there are 60.",
        "3.2e-07",
        "The two give different answers to 7 of 100 images. ",
        "Of int8, 98 of 100 calibration images right, in float32 99; 2 only in float32",
    ):
        assert words in text, words
    assert "Label sets" not in without
    assert "int8" not in without.replace("Uint8Array", "")
    assert "int8 was asked for and refused: 7 images are too few. The published model is the float32 one." in refused


def text_of(run: Run, recorder: Recorder) -> str:
    """A page's words, with single spaces."""
    return re.sub(r"\s+", " ", Page(report_html(run, recorder)).text)


def test_a_model_no_better_than_chance_is_called_so(learned_digits: tuple[Run, Recorder]) -> None:
    """At the top beside the claim, in a box of warnings and where the claim is explained; nowhere of a good model."""
    run, recorder = learned_digits
    labels = run.splits.validation.labels
    chance = with_exam(run, claim=count_claim(np.roll(run.exam.probabilities, 1, axis=0), labels))
    page = report_html(chance, recorder)
    text = text_of(chance, recorder)

    assert chance.claim.accuracy < 0.2
    assert b'<dd class="note warn">no better than chance</dd>' in page
    assert "Warning: no better than chance: its 95 % interval begins at" in text
    assert "nothing shows that this model is better than chance" in text
    assert b'role="note"' in page
    good = text_of(run, recorder)
    assert "than chance" not in good
    assert "Warning" not in good
    assert f"For comparison: always answering {np.bincount(labels).argmax()} is right for" in good


def test_a_broken_promise_is_called_so(learned_digits: tuple[Run, Recorder]) -> None:
    """In the box at the top and in its row of the table."""
    run, recorder = learned_digits
    kept, broken = (
        Coverage(promised=promised, threshold=0.1, covered=90, total=100, mean_size=1.5) for promised in (0.9, 0.99)
    )
    with_both = with_exam(run, calibration=run.exam.calibration.model_copy(update={"coverages": (kept, broken)}))
    page, text = report_html(with_both, recorder), text_of(with_both, recorder)

    assert "Warning: the promised coverage of 99% was not kept: " in text
    assert "the promised coverage of 90%" not in text
    assert page.count(b'<span class="warn">not kept</span>') == 1


def test_the_page_says_what_the_temperature_did(learned_digits: tuple[Run, Recorder]) -> None:
    """Better, worse or none applied, by the errors on validation; scores are only divided where there is one."""
    run, recorder = learned_digits
    worse = run.exam.calibration.model_copy(update={"error_after": 0.0789})
    unapplied = worse.model_copy(update={"temperature": 1.0, "error_before": 0.0789})
    better, made_worse, none = (
        text_of(with_exam(run, calibration=calibration), recorder)
        for calibration in (run.exam.calibration, worse, unapplied)
    )

    assert (
        "Temperature 1.23: on validation the probabilities are off by 1.23% on average, without it by 4.56%." in better
    )
    assert "Temperature 1.23 made it worse on validation: the probabilities are off by 7.89% on average" in made_worse
    assert "No temperature is applied, because none lowered the cross-validated log loss" in none
    assert "scores are divided" in better
    assert "scores are divided" not in none


def test_an_augmented_run_shows_variants(splits: Splits) -> None:
    """The first image stands beside what was made of it; a run on the images as they are has no such section."""
    run, recorder = finished(splits, "cnn", replace(ONE_EPOCH, augment=Augmentation(crop=6 / 7, bend=0.05)))
    page = Page(report_html(run, recorder))
    without = Page(report_html(replace(run, recipe=ONE_EPOCH), recorder))

    assert page.alts.count("a variant of it") == 11
    assert "turned, shifted, stretched, slanted, bent and cut to 86% of its sides, a little and at random." in page.text
    assert "variants" in page.ids
    assert "variants" not in without.ids


def test_other_losses_are_explained_too(splits: Splits) -> None:
    """A run by squared error says so, and does not speak of logarithms."""
    run, recorder = finished(splits, recipe=replace(ONE_EPOCH, loss="mse", learning_rate=0.2))
    text = Page(report_html(run, recorder)).text

    assert "mean squared difference" in text
    assert "\N{MINUS SIGN}ln(" not in text


def test_a_perfect_model_has_no_mistakes_to_show(learned_digits: tuple[Run, Recorder]) -> None:
    """Where everything was right the page says so."""
    run, recorder = learned_digits
    labels = run.splits.validation.labels
    sure = np.eye(10, dtype=np.float32)[labels]
    text = Page(report_html(with_exam(run, probabilities=sure, claim=count_claim(sure, labels)), recorder)).text

    assert text.count("None: every validation image was answered correctly.") == 2


def test_long_names_stay_out_of_each_others_way(splits: Splits) -> None:
    """Columns of the confusion matrix are written upright where names are long."""
    names = tuple(f"a rather long name of a class, number {number}" for number in range(10))
    run, recorder = finished(named(splits, names), recipe=ONE_EPOCH)

    assert b'class="confusion long upright"' in report_html(run, recorder)
