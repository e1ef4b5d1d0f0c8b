import csv
import io
from dataclasses import replace
from pathlib import Path

from tests.trainer.report.runs import RECIPE, finished, noise_splits
from vouch.sources.names import Names
from vouch.trainer.judge.doubtful import Doubt
from vouch.trainer.judge.hindsight import Hindsight
from vouch.trainer.publish.label_errors import label_errors


def test_each_contradicted_label_is_a_line_that_no_spreadsheet_computes() -> None:
    """With its file, split, label, answer and probability; what begins as a formula does not stay one."""
    splits = noise_splits(("=1+1\u202e", "bees, wild"), (4, 4))
    files = [f"-val/{row}.png" for row in range(len(splits.validation))]
    called = replace(splits, validation=replace(splits.validation, names=Names(folder=Path("data"), files=files)))
    run, _ = finished(called, recipe=replace(RECIPE, epochs=1))
    doubts = (
        Doubt("validation", 3, 1, 0, True, 0.01, 0.98765, True),
        Doubt("fit", 7, 0, 1, True, 0.4, 0.6, False),
    )

    table = label_errors(replace(run, hindsight=Hindsight(doubts, 2, 1))).decode()

    assert list(csv.reader(io.StringIO(table))) == [
        ["file", "split", "label", "answer", "probability", "sure"],
        ["'-val/3.png", "validation", "bees, wild", "'=1+1\\u202e", "0.9877", "yes"],
        ["images[7]", "fit", "'=1+1\\u202e", "bees, wild", "0.6000", "no"],
    ]
    assert label_errors(replace(run, hindsight=Hindsight())).decode().count("\n") == 1


def test_of_several_labels_the_one_in_question_is_named() -> None:
    """As there, and as not there."""
    run, _ = finished(noise_splits(("a", "b"), (4, 4), several=True), recipe=replace(RECIPE, epochs=1))
    doubts = (Doubt("fit", 0, 0, 0, True, 0.1, 0.9, True), Doubt("fit", 1, 1, 1, False, 0.1, 0.9, True))
    table = label_errors(replace(run, hindsight=Hindsight(doubts, 2, 2))).decode().splitlines()

    assert table[1:] == ["images[0],fit,a,not a,0.9000,yes", "images[1],fit,not b,b,0.9000,yes"]
