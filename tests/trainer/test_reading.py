from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vouch.trainer.reading import read_splits
from vouch.trainer.settings import TrainSettings


def patients(folder: Path) -> Path:
    """Images of noise, four of each of twelve patients, of two classes."""
    random, lines = np.random.default_rng(0), ["file,label,patient"]
    folder.mkdir()
    for number in range(48):
        Image.fromarray(random.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{'xy'[number % 2]},p{number // 4}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def test_groups_are_said_and_kept_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How many there are, and by what, before the splits."""
    folder = patients(tmp_path / "patients")
    splits, _ = read_splits(TrainSettings(data=str(folder), groups="patient"))
    said = capsys.readouterr()

    line = f"groups: 12 in 48 images, by column patient of {folder}/labels.csv"
    assert line in (said.out + said.err).splitlines()
    of_each = [set(part.groups.tolist()) for part in splits.by_name.values() if part.groups is not None]
    assert sum(map(len, of_each)) == 12
    assert len(set().union(*of_each)) == 12


def test_uneven_classes_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In what is said and in what is recorded, unless they count the same anyway."""
    folder = patients(tmp_path / "patients")
    lines = (folder / "labels.csv").read_text().replace(",y,", ",x,", 14)
    (folder / "labels.csv").write_text(lines)

    uneven, _ = read_splits(TrainSettings(data=str(folder)))
    balanced, _ = read_splits(TrainSettings(data=str(folder), balance=True))
    said = capsys.readouterr()

    assert [warning for warning in uneven.warnings if "uneven" in warning]
    assert balanced.warnings == ()
    assert (said.out + said.err).count("the classes are uneven") == 1
