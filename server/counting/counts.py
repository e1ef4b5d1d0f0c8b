"""Sums of workers' counts: a worker reports its counts to the supervisor, which reports the total.

Knows no protocol. Counts never decrease: the last counts of a worker that has ended are kept.
"""

from dataclasses import dataclass, field

from vouch.server.counting.statistics import Requests, Statistics

KEPT_VERSIONS = 2
"""Versions kept per model: the served one, and the one before it, whose last calls may still end. Otherwise the counts
of a server that gets new versions for years would grow without limit."""


@dataclass
class Counts:
    """Counts of one worker, or of several."""

    versions: dict[str, dict[int, Statistics]] = field(default_factory=dict)
    """Model -> version -> its counts since it was installed; the newest two versions of each."""
    requests: Requests = field(default_factory=Requests)
    """Requests that concern no served version."""
    waiting_images: dict[str, int] = field(default_factory=dict)
    """Model -> number of images that wait for a run now; a worker that has ended has none."""
    held_bytes: dict[str, int] = field(default_factory=dict)
    """Kind of use -> bytes in use for callers now."""

    def of(self, name: str, version: int) -> Statistics:
        """The counts of a version; zeros if nothing was counted yet."""
        return self.versions.get(name, {}).get(version) or Statistics()

    def begin(self, name: str, version: int) -> Statistics:
        """Starts the counts of a newly served version at zero."""
        statistics = self.versions.setdefault(name, {})[version] = Statistics()
        self._forget_old(name)
        return statistics

    def add(self, other: "Counts") -> None:
        """Adds other counts, which do not change."""
        for name, versions in other.versions.items():
            ours = self.versions.setdefault(name, {})
            for version, statistics in versions.items():
                ours.setdefault(version, Statistics()).merge(statistics)
            self._forget_old(name)
        self.requests.merge(other.requests)
        for name, images in other.waiting_images.items():
            self.waiting_images[name] = self.waiting_images.get(name, 0) + images
        for kind, count in other.held_bytes.items():
            self.held_bytes[kind] = self.held_bytes.get(kind, 0) + count

    def _forget_old(self, name: str) -> None:
        for version in sorted(self.versions[name])[:-KEPT_VERSIONS]:
            del self.versions[name][version]


def total(parts: list[Counts]) -> Counts:
    """The sum of all, as new counts."""
    result = Counts()
    for part in parts:
        result.add(part)
    return result
