"""The claimed answer to each validation image, by label names: one line per image, each a JSON object.

Written and read a few lines at a time; the labels limit the length of a line.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from vouch.bundle.multi_label import decide

ANSWERS = "answers.jsonl"
"""The file's name in the archive with the validation split."""
ESCAPED_BYTES = 6
"""The most bytes of a character in JSON; characters beyond 16 bits are written as two."""
REST_BYTES = 256
"""Bytes of a line besides its labels."""
NUMBER_BYTES = 32
PARTS = (b",", b"[", b"{")
"""The text before a value. Values take much more memory than their text, so they are counted before parsing."""
REST_VALUES = 16
FLOAT32 = struct.Struct("f")


@dataclass(frozen=True, eq=False)
class Answers:
    """The claimed answers to images, in their order."""

    labels: np.ndarray
    """The true labels: int64, shape (N,), positions in the model's labels. Multi-label: bool, shape (N, K)."""
    answers: np.ndarray
    """The answers, in the same form."""
    probabilities: np.ndarray
    """float32: of the answer, shape (N,). Multi-label: of each label, shape (N, K); NaN for labels not answered."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def right(self) -> np.ndarray:
        """Which answers are right: the one label, or exactly all labels. Bool, shape (N,)."""
        right = self.labels == self.answers
        return right if right.ndim == 1 else np.asarray(right.all(axis=1))

    @classmethod
    def joined(cls, parts: Sequence["Answers"]) -> "Answers":
        """Concatenates them."""
        if len(parts) == 1:
            return parts[0]
        columns = ([part.labels, part.answers, part.probabilities] for part in parts)
        return cls(*map(np.concatenate, zip(*columns, strict=True)))


def answers_of(labels: np.ndarray, probabilities: np.ndarray, thresholds: Sequence[float] | None) -> Answers:
    """A model's answers.

    Args:
        labels: as in `Answers`.
        probabilities: float32, shape (N, K).
        thresholds: K of them, for a multi-label model.
    """
    if thresholds is None:
        answers = probabilities.argmax(axis=1)
        return Answers(labels, answers, probabilities[np.arange(len(answers)), answers].astype(np.float32))
    given = decide(probabilities, thresholds)
    return Answers(labels, given, np.where(given, probabilities, np.float32(np.nan)).astype(np.float32))


def lines(answers: Answers, names: Sequence[str], files: Sequence[str] | None = None) -> Iterator[bytes]:
    """The lines of the file.

    Args:
        names: of the K classes.
        files: the images' names in the archive; None for an array.
    """
    rows = zip(answers.labels, answers.answers, answers.probabilities, strict=True)
    for place, (labels, given, probabilities) in enumerate(rows):
        if labels.ndim:
            line: dict[str, Any] = {
                "labels": names_of(labels, names),
                "answers": names_of(given, names),
                "probabilities": [float(probabilities[k]) for k in np.flatnonzero(given)],
            }
        else:
            line = {"label": names[labels], "answer": names[given], "probability": float(probabilities)}
        if files is not None:
            line = {"file": files[place]} | line
        yield json.dumps(line, ensure_ascii=False).encode() + b"\n"


def names_of(labels: np.ndarray, names: Sequence[str]) -> list[str]:
    """The names of one image's labels, in the model's order: from a position, or from bool of shape (K,)."""
    return [names[k] for k in np.flatnonzero(labels).tolist()] if labels.ndim else [names[int(labels)]]


class AnswersReader:
    """Reads the file from its start, some lines at a time. Raises ValueError for wrong content."""

    def __init__(
        self, file: IO[bytes], names: Sequence[str], thresholds: Sequence[float] | None, has_files: bool
    ) -> None:
        """
        Args:
            file: the member of the archive.
            names: of the K classes.
            thresholds: K of them, for a multi-label model.
            has_files: whether each line has a file's name.
        """
        self._file = file
        self._positions = {name: k for k, name in enumerate(names)}
        self._thresholds = thresholds
        self._keys = {*_KEYS[thresholds is not None], *(["file"] if has_files else [])}
        self._most = longest_line(names, thresholds is not None)
        self._most_values = _most_values(names, thresholds is not None)
        self._number = 0

    def take(self, count: int, files: Sequence[str] | None = None) -> Answers:
        """The next lines.

        Args:
            files: the expected names of the `count` files.
        """
        lines = (self._line(files[place] if files is not None else None) for place in range(count))
        if self._thresholds is None:
            one = [self._single(line) for line in lines]
            labels, answers, probabilities = (np.array(column) for column in zip(*one, strict=True))
            return Answers(labels, answers, probabilities.astype(np.float32))
        shape = (count, len(self._positions))
        several = Answers(np.zeros(shape, bool), np.zeros(shape, bool), np.full(shape, np.nan, np.float32))
        for row, line in enumerate(lines):
            self._several(line, several, row)
        return several

    def check_end(self) -> None:
        """Checks that there are no more lines."""
        if self._file.read(1):
            raise ValueError(f"{ANSWERS} has more lines than there are images")

    def _line(self, file: str | None) -> dict[str, Any]:
        self._number += 1
        text = self._file.readline(self._most + 1)
        if len(text) > self._most or not text.endswith(b"\n"):
            raise self._wrong(f"ends early, or has more than the {self._most:,} bytes that the labels can take")
        if sum(map(text.count, PARTS)) > self._most_values:
            raise self._wrong(f"has more than the {self._most_values:,} values that the labels can take")
        try:
            found = _JSON.decode(text.decode())
        except (ValueError, RecursionError) as err:
            raise self._wrong(f"is not JSON: {err}") from err
        if not isinstance(found, dict) or found.keys() != self._keys:
            raise self._wrong(f"does not have exactly the keys {', '.join(sorted(self._keys))}")
        if file is not None and found["file"] != file:
            raise self._wrong(f"is about another file than {file}")
        return found

    def _single(self, line: dict[str, Any]) -> tuple[int, int, float]:
        return self._position(line["label"]), self._position(line["answer"]), self._probability(line["probability"])

    def _several(self, line: dict[str, Any], into: Answers, row: int) -> None:
        given, probabilities = self._all(line["answers"]), line["probabilities"]
        into.labels[row, self._all(line["labels"])] = True
        into.answers[row, given] = True
        if not isinstance(probabilities, list) or len(probabilities) != len(given):
            raise self._wrong("does not have one probability for each answer")
        for k, probability in zip(given, map(self._probability, probabilities), strict=True):
            if self._thresholds is not None and probability < self._thresholds[k]:
                raise self._wrong(f"answers a label with the probability {probability}, which is below its threshold")
            into.probabilities[row, k] = probability

    def _all(self, names: Any) -> list[int]:
        if not isinstance(names, list):
            raise self._wrong("does not have a list of labels")
        found = [self._position(name) for name in names]
        if len(set(found)) != len(found):
            raise self._wrong("names a label twice")
        return found

    def _position(self, name: Any) -> int:
        position = self._positions.get(name) if isinstance(name, str) else None
        if position is None:
            raise self._wrong(f"has {str(name)[:80]!r}, which is not a label of the manifest")
        return position

    def _probability(self, value: Any) -> float:
        if type(value) not in (int, float) or not 0 <= value <= 1 or FLOAT32.unpack(FLOAT32.pack(value))[0] != value:
            raise self._wrong("has a probability that is not a float32's value from 0 to 1")
        return float(value)

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"line {self._number:,} of {ANSWERS} {what}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
    """A JSON object; None if a key occurs twice."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else None


_JSON = json.JSONDecoder(object_pairs_hook=_object)
"""Created once: `json.loads` would create one per line."""


_KEYS = {False: ("label", "answer", "probability"), True: ("labels", "answers", "probabilities")}
"""The keys of a line, for a multi-label model or not."""


def longest_line(names: Sequence[str], several: bool) -> int:
    """The most bytes of a line."""
    sizes = [2 * ESCAPED_BYTES * len(name) + len('"", ') for name in names]
    if several:
        return 2 * sum(sizes) + NUMBER_BYTES * len(sizes) + REST_BYTES
    return 2 * max(sizes) + REST_BYTES


def _most_values(names: Sequence[str], several: bool) -> int:
    """The most values in a line, including text in names that looks like the start of a value."""
    within = [sum(map(name.encode().count, PARTS)) for name in names]
    return REST_VALUES + (2 * sum(within) + 3 * len(names) if several else 2 * max(within))
