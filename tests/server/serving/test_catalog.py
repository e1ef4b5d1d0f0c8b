"""What is served under each name and version, as the line-up says and as far as it is loaded."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.lineups import line_up, listed
from tests.support.tiny import publish_tiny
from vouch.bundle.store import ModelsFolder
from vouch.server.errors import Closed, DomainError, InvalidRequest, NotReady, UnknownModel
from vouch.server.lineup.lineup import Model, Refusal, Version
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.served import Served


def loaded(folder: ModelsFolder, name: str = "tiny") -> Served:
    """The next version of a model, at work."""
    bundle = publish_tiny(folder, name)
    return Served(bundle, bundle.manifest.claim.accuracy, start_batcher(lambda parts: (*parts,), Limits(4, 100)))


def model(*served: Served, name: str = "tiny", **changed: object) -> Model:
    """Published, with these versions to be served; the first of them is live."""
    return Model(name=name, versions=tuple(listed(one.bundle) for one in served), **changed)  # type: ignore[arg-type]


def refusal(ask: Callable[[], object]) -> tuple[type[DomainError], str]:
    with pytest.raises(DomainError) as failure:
        ask()
    return type(failure.value), str(failure.value)


async def test_an_old_version_ends_when_its_last_lease_does(tmp_path: Path) -> None:
    """Until then it answers; afterwards its batcher is closed."""
    folder, catalog = ModelsFolder(tmp_path), Catalog()
    old, new = loaded(folder), loaded(folder)
    catalog.follow(line_up(model(old)))
    catalog.install(old)
    with old.lease(), old.lease():
        catalog.follow(line_up(model(new)))
        catalog.install(new)
        assert catalog.find("tiny") is new
        await old.batcher.submit(np.zeros((1, 1)))

    async with asyncio.timeout(10):
        await old.end()
    with pytest.raises(Closed):
        await old.batcher.submit(np.zeros((1, 1)))
    await catalog.close()


async def test_nothing_is_said_not_to_exist_before_it_is_known_what_is_published(tmp_path: Path) -> None:
    """A worker that has just started knows of no model; callers may ask again."""
    catalog = Catalog()
    told = (NotReady, "it is not known yet which models are published; try again in a moment")

    assert refusal(lambda: catalog.find("tiny")) == told
    assert refusal(lambda: catalog.find("")) == told
    assert refusal(lambda: catalog.entry("tiny")) == told
    served = loaded(ModelsFolder(tmp_path))
    catalog.follow(line_up(model(served), complete=False))
    catalog.install(served)
    assert catalog.find("tiny") is served
    assert refusal(lambda: catalog.find("tiny", 7)) == told
    assert refusal(lambda: catalog.find("other")) == told
    assert refusal(lambda: catalog.find("")) == told
    await catalog.close()


async def test_a_model_without_a_served_version_is_told_apart_from_an_unknown_one() -> None:
    """No model, one that is being verified, one whose versions were all refused."""
    catalog = Catalog()

    catalog.follow(line_up())
    assert refusal(lambda: catalog.find(""))[0] is NotReady
    assert refusal(lambda: catalog.find("tiny"))[0] is UnknownModel
    catalog.follow(line_up(Model(name="tiny", verifying=(2,))))
    assert refusal(lambda: catalog.find("tiny")) == (
        NotReady,
        "model tiny is being verified; no version of it is served yet",
    )
    catalog.follow(line_up(Model(name="tiny", refusals=(Refusal(version=3, reason="its hash is wrong"),))))
    assert refusal(lambda: catalog.find("")) == (NotReady, "no version of model tiny is served: its hash is wrong")


async def test_a_listed_version_that_is_not_loaded_yet_is_to_be_asked_again(tmp_path: Path) -> None:
    """By name and by version; with the reason where it cannot be loaded here."""
    catalog, served = Catalog(), loaded(ModelsFolder(tmp_path))
    catalog.follow(line_up(model(served)))

    waiting = [refusal(lambda version=version: catalog.find("tiny", version)) for version in (0, 1)]  # type: ignore[misc]
    catalog.not_loaded("tiny", listed(served.bundle), "no memory")
    failed = [refusal(lambda version=version: catalog.find("tiny", version)) for version in (0, 1)]  # type: ignore[misc]

    assert waiting == [
        (NotReady, "model tiny is being loaded; it is not served yet"),
        (NotReady, "version 1 of model tiny is being loaded; it is not served yet"),
    ]
    assert failed == [
        (NotReady, "no version of model tiny is served: no memory"),
        (NotReady, "version 1 of model tiny is not served: no memory"),
    ]
    await served.end()


async def test_several_versions_answer_at_once_where_they_are_named(tmp_path: Path) -> None:
    """The live one answers calls that name none."""
    folder, catalog = ModelsFolder(tmp_path), Catalog()
    first, second = loaded(folder), loaded(folder)
    catalog.follow(line_up(model(first, second)))
    for served in (second, first):
        catalog.install(served)

    assert [catalog.find("tiny", version) for version in (0, 1, 2)] == [first, first, second]
    assert catalog.entry("tiny").versions == (first, second)
    assert catalog.entry("tiny").served is first
    assert refusal(lambda: catalog.find("tiny", 3)) == (
        UnknownModel,
        "version 3 of model tiny is not served; versions 1, 2 are",
    )
    await catalog.close()


async def test_a_version_answers_until_the_one_that_takes_its_place_is_loaded(tmp_path: Path) -> None:
    """It is no longer listed, and is let go then."""
    folder, catalog = ModelsFolder(tmp_path), Catalog()
    old, new = loaded(folder), loaded(folder)
    catalog.follow(line_up(model(old)))
    catalog.install(old)

    catalog.follow(line_up(model(new)))
    meanwhile = catalog.find("tiny")
    catalog.not_loaded("tiny", listed(new.bundle), "no memory")
    entry = catalog.entry("tiny")
    catalog.install(new)

    assert meanwhile is old
    assert (entry.served, entry.refusals) == (old, (Refusal(version=2, reason="no memory"),))
    assert catalog.entry("tiny").versions == (new,)
    assert catalog.entry("tiny").refusals == ()
    await catalog.close()


async def test_a_version_over_another_bundle_is_another_version(tmp_path: Path) -> None:
    """Its number is the same and its digest is not: the old one answers until the new one is loaded."""
    old, new = loaded(ModelsFolder(tmp_path / "a")), loaded(ModelsFolder(tmp_path / "b"))
    catalog, other = Catalog(), listed(new.bundle).model_copy(update={"digest": "0" * 64})
    catalog.follow(line_up(model(old)))
    catalog.install(old)

    catalog.follow(line_up(Model(name="tiny", versions=(other,))))

    assert (catalog.lacks("tiny", other), catalog.lacks("tiny", listed(old.bundle))) == (True, False)
    assert catalog.find("tiny") is old
    await new.end()
    await catalog.close()


async def test_what_takes_the_place_of_the_live_version_answers_too_until_another_is_live(tmp_path: Path) -> None:
    """The same number over another bundle, while the version that is to be live is still being loaded."""
    folder, catalog = ModelsFolder(tmp_path / "a"), Catalog()
    old, new = loaded(folder), loaded(ModelsFolder(tmp_path / "b"))
    new.bundle = replace(new.bundle, digest="0" * 64)
    to_be_live = listed(old.bundle).model_copy(update={"version": 2})
    catalog.follow(line_up(model(old)))
    catalog.install(old)

    catalog.follow(line_up(Model(name="tiny", versions=(to_be_live, listed(new.bundle)))))
    catalog.install(new)

    assert catalog.find("tiny") is new
    async with asyncio.timeout(10):
        await old.end()
    await catalog.close()


async def test_a_model_that_is_no_longer_published_is_let_go(tmp_path: Path) -> None:
    """So is one of which nothing is to be served any more."""
    folder, catalog = ModelsFolder(tmp_path), Catalog()
    gone, unwanted = loaded(folder, "gone"), loaded(folder, "unwanted")
    catalog.follow(line_up(model(gone, name="gone"), model(unwanted, name="unwanted")))
    for served in (gone, unwanted):
        catalog.install(served)

    catalog.follow(line_up(Model(name="unwanted", refusals=(Refusal(version=1, reason="why"),))))

    assert refusal(lambda: catalog.find("gone"))[0] is UnknownModel
    assert refusal(lambda: catalog.find("unwanted", 1))[0] is NotReady
    assert not catalog.ready
    async with asyncio.timeout(10):
        await asyncio.gather(gone.end(), unwanted.end())


@pytest.mark.parametrize("loads", [(), ("a",), ("a", "b")])
async def test_a_call_that_names_no_model_is_answered_alike_whatever_is_loaded(
    tmp_path: Path, loads: tuple[str, ...]
) -> None:
    """Two are published: they have to be named, or there is a default."""
    folder = ModelsFolder(tmp_path)
    served = {name: loaded(folder, name) for name in ("a", "b")}
    plain, with_default = Catalog(), Catalog(default_model="b")
    for catalog in (plain, with_default):
        catalog.follow(line_up(*(model(one, name=name) for name, one in served.items())))
        for name in loads:
            catalog.install(served[name])

    assert refusal(lambda: plain.find(""))[0] is InvalidRequest
    if "b" in loads:
        assert with_default.find("") is served["b"]
    else:
        assert refusal(lambda: with_default.find(""))[0] is NotReady
    await plain.close()
    await asyncio.gather(*(one.end() for one in served.values()))


async def test_a_default_model_that_is_not_published_is_named() -> None:
    """The caller, who said no name, learns which one is missing."""
    catalog = Catalog(default_model="digits")
    catalog.follow(line_up(Model(name="letters")))

    assert refusal(lambda: catalog.find("")) == (
        UnknownModel,
        "there is no model 'digits', the default of this server (--default-model); there is letters",
    )


async def test_a_name_that_is_nearly_one_is_answered_with_that_one() -> None:
    """However many there are, some are named; and however long the name is, the message is not."""
    catalog = Catalog()
    catalog.follow(
        line_up(*(Model(name=f"model-{number}", verifying=(1,)) for number in range(30)), Model(name="mnist"))
    )

    assert "did you mean mnist?" in refusal(lambda: catalog.find("mnits"))[1]
    assert len(refusal(lambda: catalog.find("q" * 5000))[1]) < 500


async def test_who_is_waited_for_is_told_of_every_change(tmp_path: Path) -> None:
    """What remembers an answer forgets it then: a version may be another one, or a model may have to be named."""
    changes: list[bool] = []
    catalog = Catalog(on_change=lambda: changes.append(catalog.ready))
    served, generations = loaded(ModelsFolder(tmp_path)), set[int]()

    for change in (
        lambda: catalog.follow(line_up(model(served))),
        lambda: catalog.install(served),
        lambda: catalog.follow(line_up(model(served), Model(name="other"))),
        lambda: catalog.withdraw(served, "its runner ended"),
    ):
        change()
        generations.add(catalog.generation)

    assert changes == [False, True, True, False]
    assert len(generations) == 4
    assert refusal(lambda: catalog.find("tiny")) == (NotReady, "no version of model tiny is served: its runner ended")
    await catalog.close()


async def test_what_could_not_be_loaded_is_forgotten_with_its_version(tmp_path: Path) -> None:
    """It is no longer listed: what is said of it comes from the line-up alone."""
    catalog, served = Catalog(), loaded(ModelsFolder(tmp_path))
    catalog.follow(line_up(model(served)))
    catalog.not_loaded("tiny", listed(served.bundle), "no memory")

    catalog.follow(line_up(Model(name="tiny", refusals=(Refusal(version=1, reason="workers end while they load it"),))))

    assert catalog.entry("tiny").refusals == (Refusal(version=1, reason="workers end while they load it"),)
    await served.end()


async def test_only_what_is_listed_is_served(tmp_path: Path) -> None:
    """Anything else is a fault of ours."""
    catalog, served = Catalog(), loaded(ModelsFolder(tmp_path))
    wrong: Version = listed(served.bundle).model_copy(update={"digest": "0" * 64})
    catalog.follow(line_up(Model(name="tiny", versions=(wrong,))))

    with pytest.raises(AssertionError, match="not to be served"):
        catalog.install(served)
    await served.end()
