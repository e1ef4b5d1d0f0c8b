"""The models folder as Triton's model repository: every known version, its state, and why it is not served."""

from collections.abc import Iterator

from vouch.protos.inference import inference_pb2 as pb
from vouch.server.errors import LoadNotAllowed, Unsupported, quoted
from vouch.server.serving.catalog import Catalog, Entry

READY, UNAVAILABLE, LOADING = "READY", "UNAVAILABLE", "LOADING"


def index(catalog: Catalog, only_ready: bool) -> list[pb.RepositoryIndexResponse.ModelIndex]:
    """One entry per version, by name and then by version.

    Versions below the served one are not verified, and so are not known.
    """
    versions = [version for entry in catalog.entries() for version in _versions(entry)]
    return [version for version in versions if version.state == READY or not only_ready]


def check_repository(name: str) -> None:
    """
    Raises:
        Unsupported: the request names a repository.
    """
    if name:
        raise Unsupported(
            f"expected no repository_name, got {quoted(name)}: there is one models folder, and it has no name"
        )


def loading_not_allowed() -> LoadNotAllowed:
    """The error for a request to load or unload a model."""
    return LoadNotAllowed(
        "explicit load / unload is not allowed: the server watches the models folder; publish a version there instead"
    )


def _versions(entry: Entry) -> Iterator[pb.RepositoryIndexResponse.ModelIndex]:
    found = {refusal.version: (UNAVAILABLE, refusal.reason) for refusal in entry.refusals}
    found |= dict.fromkeys((*entry.verifying, *entry.loading), (LOADING, ""))
    found |= {served.version: (READY, "") for served in entry.versions}
    for version, (state, reason) in sorted(found.items()):
        yield pb.RepositoryIndexResponse.ModelIndex(name=entry.name, version=str(version), state=state, reason=reason)
