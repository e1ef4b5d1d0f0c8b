"""Where a training is logged: the interface that both libraries implement."""

from collections.abc import Mapping
from typing import Literal, Protocol

from vouch.bundle.opening import Bundle

Parameter = str | int | float | bool
Ended = Literal["FINISHED", "FAILED", "KILLED"]


class Log(Protocol):
    """One training in one of the libraries. Any method may raise any exception of the library."""

    def parameters(self, values: Mapping[str, Parameter]) -> None:
        """Logs settings and recipe, once, before the fit."""

    def figures(self, values: Mapping[str, float], epoch: int) -> None:
        """Logs the numbers of an epoch, none of them NaN."""

    def published(self, bundle: Bundle, claim: Mapping[str, float]) -> None:
        """Logs the bundle and its claim."""

    def close(self, ended: Ended) -> None:
        """Writes the rest, and how the training ended."""
