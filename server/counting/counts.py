"""What workers count, added up: a worker tells its supervisor, and the supervisor tells whoever asks of all of them.

Knows no protocol. What has been counted never becomes less: the last counts of a worker that has ended are kept.
"""

from dataclasses import dataclass, field

from vouch.server.counting.statistics import Requests, Statistics

KEPT_VERSIONS = 2
"""Of a model: the served one, and the one before it, whose last calls may still end. Counts of a server that is told of
new versions for years would otherwise grow for years."""


@dataclass
class Counts:
    """Of one worker, or of several."""

    versions: dict[str, dict[int, Statistics]] = field(default_factory=dict)
    """Model -> version -> what was counted since it was installed; the newest two versions of each."""
    requests: Requests = field(default_factory=Requests)
    """That were about no version that is served: others' models, or none."""
    waiting_images: dict[str, int] = field(default_factory=dict)
    """Model -> images that no run has taken yet. Of now: a worker that has ended has none."""
    held_bytes: dict[str, int] = field(default_factory=dict)
    """Kind of use -> bytes that are held for callers. Of now, too."""

    def of(self, name: str, version: int) -> Statistics:
        """One version's; all noughts where nothing was counted yet."""
        return self.versions.get(name, {}).get(version) or Statistics()

    def begin(self, name: str, version: int) -> Statistics:
        """Counts of a version that is to be served, from nought."""
        statistics = self.versions.setdefault(name, {})[version] = Statistics()
        self._forget_old(name)
        return statistics

    def add(self, other: "Counts") -> None:
        """Adds what somebody else counted, which stays as it is."""
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
    """All of them together, in counts of their own."""
    result = Counts()
    for part in parts:
        result.add(part)
    return result
