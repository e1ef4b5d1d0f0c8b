import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.support.tiny import publish_tiny
from vouch.bundle.store import ModelsFolder
from vouch.server.errors import Closed, NotReady, UnknownModel
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.serving.catalog import Catalog, Refusal, Served


def serve(folder: ModelsFolder, name: str = "tiny") -> Served:
    bundle = publish_tiny(folder, name)
    return Served(bundle, bundle.manifest.claim.accuracy, start_batcher(lambda parts: (*parts,), Limits(4, 100)))


async def test_an_old_version_ends_when_its_last_lease_does(tmp_path: Path) -> None:
    """Until then it answers; afterwards its batcher is closed."""
    folder, catalog = ModelsFolder(tmp_path), Catalog()
    old, new = serve(folder), serve(folder)
    catalog.install(old)
    with old.lease(), old.lease():
        catalog.install(new)
        assert catalog.find("tiny") is new
        await old.batcher.submit(np.zeros((1, 1)))

    async with asyncio.timeout(10):
        await old.end()
    with pytest.raises(Closed):
        await old.batcher.submit(np.zeros((1, 1)))
    await catalog.close()


async def test_what_is_not_served_says_why() -> None:
    """Unknown, being verified and refused are told apart."""
    catalog = Catalog()

    with pytest.raises(NotReady, match="the models folder of this server holds no model yet"):
        catalog.find("")
    with pytest.raises(UnknownModel, match="there is no model 'tiny'; there are none"):
        catalog.find("tiny")
    catalog.begin_verifying("tiny", [2])
    with pytest.raises(NotReady, match="model tiny is being verified"):
        catalog.find("tiny")
    catalog.refuse("tiny", Refusal(3, "its hash is wrong"))
    catalog.end_verifying("tiny")
    with pytest.raises(NotReady, match="no version of model tiny is served: its hash is wrong"):
        catalog.find("")


def test_a_name_that_nobody_serves_is_answered_with_the_nearest() -> None:
    """In a message that stays short, however long the name and however many models there are."""
    catalog = Catalog()
    for name in ("mnist", *(f"pets-{number:03}" for number in range(100))):
        catalog.begin_verifying(name, [1])

    with pytest.raises(UnknownModel, match="^there is no model 'mnits'; did you mean mnist[?]$"):
        catalog.find("mnits")
    with pytest.raises(UnknownModel, match="no model 'q{63}[.]{3}'; there are mnist, .* and 91 more") as refused:
        catalog.find("q" * 5000)
    assert len(str(refused.value)) < 250


def test_a_version_is_being_verified_until_it_is_refused() -> None:
    """Which versions still wait for it is known at every time."""
    catalog = Catalog()
    catalog.begin_verifying("tiny", [3, 2])
    both = catalog.entry("tiny").verifying
    catalog.refuse("tiny", Refusal(3, "its hash is wrong"))

    assert both == (2, 3)
    assert catalog.entry("tiny").verifying == (2,)


async def test_a_refusal_lasts_as_long_as_its_version_lies_there(tmp_path: Path) -> None:
    """Of a model that is served and of one that is not; a folder that cannot be read may still hold all of them."""
    catalog = Catalog()
    catalog.install(serve(ModelsFolder(tmp_path)))
    for name, version in (("tiny", 2), ("tiny", 3), ("other", 1), ("hidden", 1)):
        catalog.refuse(name, Refusal(version, "why"))
    catalog.forget_all_but({"tiny": frozenset({1, 3}), "hidden": None})

    refused = {entry.name: [one.version for one in entry.refusals] for entry in catalog.entries()}
    assert refused == {"hidden": [1], "tiny": [3]}
    await catalog.close()


async def test_a_newer_version_makes_older_refusals_history(tmp_path: Path) -> None:
    """Only refusals above the served version still matter."""
    folder, catalog = ModelsFolder(tmp_path), Catalog()
    catalog.refuse("tiny", Refusal(1, "old"))
    catalog.refuse("tiny", Refusal(9, "new"))
    catalog.install(serve(folder))

    assert catalog.entry("tiny").refusals == (Refusal(9, "new"),)
    assert catalog.served_version("tiny") == 1
    assert catalog.served_version("other") == 0
    await catalog.close()


async def test_a_version_that_can_no_longer_answer_is_withdrawn(tmp_path: Path) -> None:
    """The model is then not served, with the reason, and whoever watches readiness hears of it."""
    changes: list[bool] = []
    catalog = Catalog(on_change=lambda: changes.append(catalog.ready))
    served = serve(ModelsFolder(tmp_path))
    catalog.install(served)
    catalog.withdraw(served, "its runner ended")

    assert changes == [True, False]
    with pytest.raises(NotReady, match="its runner ended"):
        catalog.find("tiny")
    await served.end()
