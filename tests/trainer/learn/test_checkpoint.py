import io
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.programs import OURS, run_beside
from vouch.bundle.digest import bytes_digest
from vouch.bundle.training import Augmentation, Recipe
from vouch.cli.stopping import stoppable
from vouch.trainer.errors import TrainError
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.checkpoint import EVERY_S, KEPT_S, Checkpoint, remove_expired, remove_leftovers
from vouch.trainer.learn.course import Fitted, Step
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.splits.split import Splits

RECIPE = Recipe(
    epochs=4,
    batch_size=200,
    learning_rate=0.01,
    optimizer="muon",
    muon_rate=0.02,
    augment=Augmentation(),
    focus=0.5,
    hard_epochs=5,
)
"""With five epochs where after two too little is known: the mlp knows enough."""


class Kept:
    """A state, and nothing else."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = state


class Notes:
    """Something beside the fit whose state is kept."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def __call__(self, step: Step) -> None:
        self.steps.append(step.number)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = list(state["steps"])


class Interrupted(Notes):
    """Ctrl-C while a step is told of."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def __call__(self, step: Step) -> None:
        if step.number == self.step:
            os.kill(os.getpid(), signal.SIGINT)
        super().__call__(step)


def fitted(
    kind: ModelKind, splits: Splits, notes: Notes, checkpoint: Checkpoint | None
) -> tuple[Fitted, dict[str, np.ndarray]]:
    torch.manual_seed(3)
    classifier = Classifier(kind, (8, 8), classes=10)
    recipe = replace(RECIPE, optimizer="sgd") if kind == "linear" else RECIPE
    result = fit(classifier, splits, recipe, on_step=notes, checkpoint=checkpoint)
    return result, {name: value.numpy() for name, value in classifier.state_dict().items()}


@pytest.mark.parametrize(
    ("kind", "step", "done"),
    [
        ("linear", 17, "2 of 5 epochs and 3 of the 7 steps of the next"),
        ("mlp", 17, "2 of 4 epochs and 3 of the 7 steps of the next"),
        ("cnn", 17, "2 of 5 epochs and 3 of the 7 steps of the next"),
        ("mlp", 14, "2 of 4 epochs"),
        ("linear", 1, "0 of 4 epochs and 1 of the 7 steps of the next"),
    ],
)
def test_a_resumed_fit_ends_where_an_unbroken_one_does(
    kind: ModelKind, step: int, done: str, splits: Splits, tmp_path: Path
) -> None:
    """Interrupted in an epoch or between two, the step is kept, and all comes out the same to the last bit."""
    whole, broken, resumed = Notes(), Interrupted(step), Notes()
    expected, weights = fitted(kind, splits, whole, None)
    with pytest.raises(KeyboardInterrupt), stoppable():
        fitted(kind, splits, broken, Checkpoint(tmp_path, "it", {"notes": broken}))
    assert broken.steps[-1] == step
    assert Checkpoint(tmp_path, "it", {}).done() == done
    result, same = fitted(kind, splits, resumed, Checkpoint(tmp_path, "it", {"notes": resumed}, resume=True))

    assert resumed.steps == whole.steps
    assert [replace(epoch, seconds=0) for epoch in result.epochs[1:]] == [
        replace(epoch, seconds=0) for epoch in expected.epochs[1:]
    ]
    assert result.best.number == expected.best.number
    assert weights.keys() == same.keys()
    for name, value in weights.items():
        np.testing.assert_array_equal(same[name], value, err_msg=name)


def test_without_resume_it_begins_anew(splits: Splits, tmp_path: Path) -> None:
    """A checkpoint that lies there is not used unasked."""
    first, second = Notes(), Notes()
    fitted("linear", splits, first, Checkpoint(tmp_path, "it", {"notes": first}))
    fitted("linear", splits, second, Checkpoint(tmp_path, "it", {"notes": second}))

    assert second.steps == first.steps


def test_each_training_has_a_checkpoint_of_its_own(tmp_path: Path) -> None:
    """What decides the result decides the file's name, so nothing foreign is gone on from."""
    same, other = Kept(), Kept()
    Checkpoint(tmp_path, "rate 0.1", {}).save({"epoch": 1}, "1 epoch")

    assert Checkpoint(tmp_path, "rate 0.1", {}, resume=True).resume_into(same)
    assert not Checkpoint(tmp_path, "rate 0.2", {}, resume=True).resume_into(other)
    assert (same.state, other.state) == ({"epoch": 1}, {})
    assert not Checkpoint(tmp_path, "rate 0.2", {}).exists()


def test_a_finished_training_leaves_none(tmp_path: Path) -> None:
    """Nor the folder, where nothing else is in it."""
    checkpoint = Checkpoint(tmp_path / "digits", "it", {})
    checkpoint.save({}, "nothing")
    checkpoint.remove()
    checkpoint.remove()

    assert not checkpoint.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 half a file"])
def test_a_damaged_checkpoint_is_said(tmp_path: Path, content: bytes) -> None:
    """With its path and what to do, in place of a traceback."""
    checkpoint = Checkpoint(tmp_path, "it", {}, resume=True)
    checkpoint.path.write_bytes(content)

    with pytest.raises(TrainError, match=r"the checkpoint .* cannot be read .* remove it to start from the beginning"):
        checkpoint.resume_into(Kept())


def test_one_changed_bit_is_damage_too(tmp_path: Path) -> None:
    """Nor is a whole file of another meaning gone on from."""
    checkpoint = Checkpoint(tmp_path, "it", {}, resume=True)
    checkpoint.save({"weights": torch.zeros(1000)}, "some weights")
    content = bytearray(checkpoint.path.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.path.write_bytes(content)
    with pytest.raises(TrainError, match="the file is damaged"):
        checkpoint.resume_into(Kept())

    checkpoint = Checkpoint(tmp_path, "it", {"report": Kept()}, resume=True)
    Checkpoint(tmp_path, "it", {}).save({"epoch": 1}, "1 epoch")
    with pytest.raises(TrainError, match="cannot be read"):
        checkpoint.resume_into(Kept())


def test_reading_one_runs_no_code(tmp_path: Path) -> None:
    """A file that names a function to call is refused."""
    checkpoint = Checkpoint(tmp_path, "it", {}, resume=True)
    content = io.BytesIO()
    torch.save({"fit": Path.cwd}, content)
    checkpoint.path.write_bytes(bytes_digest(content.getvalue()).encode() + content.getvalue())

    with pytest.raises(TrainError, match=r"cannot be read .*[Uu]nsupported|GLOBAL|weights"):
        checkpoint.resume_into(Kept())


def test_a_checkpoint_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """And nothing of it stays behind."""
    (tmp_path / "file").write_text("hello")

    with pytest.raises(TrainError, match="cannot be written"):
        Checkpoint(tmp_path / "file" / "digits", "it", {}).save({}, "nothing")


def test_an_interrupted_write_leaves_the_state_before_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the third epoch is written: two are in the file, as it says, and no unfinished one is left."""
    checkpoint = Checkpoint(tmp_path, "it", {})
    assert checkpoint.done() == ""
    checkpoint.save({}, "2 epochs")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save({}, "3 epochs")

    assert checkpoint.done() == "2 epochs"
    assert list(tmp_path.iterdir()) == [checkpoint.path]
    checkpoint.path.write_bytes(b"damaged")
    assert checkpoint.done() == ""


KILLED = """
import os, sys
from pathlib import Path
from vouch.trainer.learn.checkpoint import Checkpoint

def wait(descriptor):
    print("writing", flush=True)
    sys.stdin.read()

os.fsync = wait
Checkpoint(Path(sys.argv[1]) / "digits", "it", {}).save({}, "1 epoch")
"""


def test_what_a_killed_training_was_writing_is_removed(tmp_path: Path) -> None:
    """As soon as it is no more; a training that is writing at that moment is left alone."""
    with run_beside(sys.executable, "-c", KILLED, str(tmp_path), env=OURS, held=True) as process:
        process.out.line()
        (unfinished,) = (tmp_path / "digits").iterdir()
        assert remove_leftovers(tmp_path) == []
        process.tell(signal.SIGKILL)
        process.ended()

    assert remove_leftovers(tmp_path) == [unfinished]
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_versions_leftovers_are_removed_too(tmp_path: Path) -> None:
    """They are named after a process, which by now may be any."""
    left = tmp_path / "digits" / f".training-0123456789abcdef.{os.getpid()}.tmp"
    left.parent.mkdir()
    left.write_bytes(b"half")

    assert remove_leftovers(tmp_path) == [left]


def test_a_checkpoint_is_kept_for_30_days(tmp_path: Path) -> None:
    """Then a later training removes it, of any model, unless it is the very one to go on from."""
    young, old, own = (Checkpoint(tmp_path / name, name, {}) for name in ("young", "old", "own"))
    for checkpoint, days in ((young, 29), (old, 31), (own, 31)):
        checkpoint.save({}, "nothing")
        written = checkpoint.path.stat().st_mtime - days * 24 * 3600
        os.utime(checkpoint.path, (written, written))

    assert KEPT_S == 30 * 24 * 3600
    assert remove_expired(tmp_path, but=own) == [old.path]
    assert (young.exists(), old.exists(), own.exists()) == (True, False, True)


def test_a_state_is_written_when_it_is_due_and_when_fitting_has_ended(splits: Splits, tmp_path: Path) -> None:
    """Nothing within half a minute but the end; with no time between two, after every step."""
    written: list[str] = []

    class Counted(Checkpoint):
        def save(self, fit: dict[str, Any], done: str) -> None:
            super().save(fit, done)
            written.append(done)

    fitted("linear", splits, Notes(), Counted(tmp_path, "it", {}))
    assert EVERY_S == 30
    assert written == ["5 of 5 epochs"]

    written.clear()
    hasty = Counted(tmp_path, "it", {}, every_s=0)
    assert hasty.due()
    fitted("linear", splits, Notes(), hasty)
    assert written[0] == "0 of 4 epochs and 1 of the 7 steps of the next"
    assert written[-1] == "5 of 5 epochs"
    assert not Checkpoint(tmp_path, "it", {}).due()
