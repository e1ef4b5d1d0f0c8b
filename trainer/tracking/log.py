"""Where a training is logged: what both libraries can do."""

from collections.abc import Mapping
from typing import Literal, Protocol

from vouch.bundle.opening import Bundle

Parameter = str | int | float | bool
Ended = Literal["FINISHED", "FAILED", "KILLED"]


class Log(Protocol):
    """One training in one of the libraries. Any method may raise whatever the library does."""

    def parameters(self, values: Mapping[str, Parameter]) -> None:
        """Settings and recipe, once, before the fit."""

    def figures(self, values: Mapping[str, float], epoch: int) -> None:
        """Numbers of an epoch, none of them NaN."""

    def published(self, bundle: Bundle, claim: Mapping[str, float]) -> None:
        """The bundle, and what it claims."""

    def close(self, ended: Ended) -> None:
        """Writes what is left, and how the training ended."""
