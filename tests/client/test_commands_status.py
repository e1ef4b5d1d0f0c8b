import asyncio
import json

import numpy as np
import pytest

from tests.support.facts import LITE0, on_lite0
from tests.support.serving import Serving
from tests.support.tiny import (
    THRESHOLDS,
    calibration_of,
    publish_tiny,
    random_validation,
    several_validation,
)
from vouch.client.commands import health, status


async def test_status_shows_what_is_served_and_what_was_refused(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    """Name, version, counts, digest; the reason of a refusal; and the same as JSON."""
    serving.published.refuse("tiny", 2, "its hash is [wrong]")
    serving.published.refuse("tiny", 3, "held back: worse than version 1", held_back=True)

    code = await asyncio.to_thread(status, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(status, ["--server", serving.address, "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])

    low, high = result["models"][0]["versions"][0]["calibration"]["error_interval"]
    assert code == 0
    for part in (
        "is ready",
        "tiny version 1: serving",
        "270 of 300",
        "first, second, third",
        "refused  version 2: its hash is [w",
        "held back version 3: worse than version 1",
        "scores   temperature 1.50: on validation the probabilities are off by 9.97% on average "
        f"(95 % interval {low:.2%} to {high:.2%}), without it by 10.00%",
        "sets     99% promised, kept",
    ):
        assert part in shown
    assert (result["ready"], result["models"][0]["name"], result["models"][0]["state"]) == (True, "tiny", "serving")
    assert result["models"][0]["refusals"] == [
        [2, "its hash is [wrong]"],
        [3, "held back: worse than version 1"],
    ]
    assert result["models"][0]["held_back"] == [3]
    assert "warning" not in shown
    (version,) = result["models"][0]["versions"]
    assert (version["caveats"], version["no_better_than_chance"]) == ([], False)
    assert (version["role"], version["plan"]) == ("live", {"threads": 0, "inline_images": 0, "at_once": 1})


async def test_status_shows_label_sets_by_class(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """All that the bundle has of them, as JSON; for people that they are by class, and what each class rests on."""
    bundle = publish_tiny(serving.folder, "tiny", by_class=True)
    serving.install(bundle)
    assert bundle.manifest.calibration is not None

    await asyncio.to_thread(status, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(status, ["--server", serving.address, "--json"])
    (model,) = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]

    assert "  sets     90% by class promised, " in shown
    assert "rest on 40 tune images, of each class at least 10 (split)" in shown
    assert model["versions"][-1]["calibration"] == json.loads(json.dumps(bundle.manifest.calibration.as_json()))


async def test_status_shows_what_speaks_against_a_model(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """No better than chance and promises that were not kept, in words and as JSON."""
    serving.install(publish_tiny(serving.folder, "tossed", validation=random_validation()))

    await asyncio.to_thread(status, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(status, ["--server", serving.address, "--json"])
    _, model = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]
    (tossed,) = model["versions"]

    for part in (
        "  warning  no better than chance: its 95 % interval begins at 28.71%, and always answering",
        "is right for 104 of 300 = 34.67%",
        "  warning  the promised coverage of 90% was not kept: ",
        "  sets     99% promised, not kept: 290 of 300",
    ):
        assert shown.count(part) == 1, part
    for part in (
        "  sets     no promise of 95%: it needs 45 calibration images, and there are 40",
        "  sets     rest on 40 tune images (split): with 90 % confidence",
    ):
        assert shown.count(part) == 2, f"of each model: {part}"
    assert tossed["no_better_than_chance"] is True
    assert (tossed["baseline"]["correct"], tossed["baseline"]["total"]) == (104, 300)
    assert [caveat["kind"] for caveat in tossed["caveats"]] == [
        "no_better_than_chance",
        "coverage_not_kept",
        "coverage_not_kept",
    ]
    assert [one["kept"] for one in tossed["calibration"]["coverages"]] == [False, False]
    assert tossed["calibration"] == json.loads(json.dumps(calibration_of(random_validation()).as_json()))


async def test_status_says_that_there_is_no_model_where_none_was_published_and_none_refused(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is refused is shown with its reason instead, and only what the folder holds is said."""
    serving.catalog.withdraw(serving.catalog.find("tiny"), "its file is gone")
    await asyncio.to_thread(status, ["--server", serving.address])
    refused = capsys.readouterr().out
    serving.published.remove_all()
    await asyncio.to_thread(status, ["--server", serving.address])
    empty = capsys.readouterr().out

    sentence = "The models folder of this server has no model"
    assert "refused  version 1: its file is gone" in refused
    assert sentence not in refused
    assert sentence in empty


async def test_status_shows_how_a_multi_label_model_answers(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    """From which thresholds on; as JSON all of them, with the task."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))

    await asyncio.to_thread(status, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(status, ["--server", serving.address, "--json"])
    several, tiny = (one["versions"][0] for one in json.loads(capsys.readouterr().out.splitlines()[-1])["models"])

    assert shown.count("answers  each label that reaches its threshold, 0.12 to 0.75") == 1
    assert (several["task"], several["thresholds"]) == ("multi_label", list(THRESHOLDS))
    assert (tiny["task"], tiny["thresholds"]) == ("single_label", [])
    sets = np.unique(several_validation().labels, axis=0, return_counts=True)[1]
    assert several["baseline"]["correct"] == sets.max()
    assert several["balanced"].keys() == tiny["balanced"].keys() == {"accuracy", "low", "high", "classes"}
    assert several["balanced"]["classes"] == len(THRESHOLDS)
    assert shown.count(f"  balanced {tiny['balanced']['accuracy']:.2%} (95 % interval ") == 1


async def test_status_names_the_backbone(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """As the auditor reads it, and as JSON; nothing of a model from scratch."""
    serving.install(on_lite0(publish_tiny(serving.folder, "photos")))

    await asyncio.to_thread(status, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(status, ["--server", serving.address, "--json"])
    photos, tiny = (one["versions"][0] for one in json.loads(capsys.readouterr().out.splitlines()[-1])["models"])

    line = f"  backbone lite0 of a package 0.1.0, licence Apache-2.0, SHA-256 {'a' * 64}"
    assert shown.replace("\n", "").count(line) == 1
    assert str(LITE0) in line
    assert (photos["backbone"]["licence"], photos["backbone"]["weights_sha256"]) == ("Apache-2.0", "a" * 64)
    assert tiny["backbone"] is None


async def test_health_is_an_exit_code(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """For those who look after containers: 0 while something is served, 1 once the server drains."""
    assert await asyncio.to_thread(health, ["--server", serving.address]) == 0
    serving.readiness.drain()
    assert await asyncio.to_thread(health, ["--server", serving.address]) == 1
    assert await asyncio.to_thread(health, ["--server", serving.address, "--json"]) == 1

    *said, last = capsys.readouterr().out.splitlines()
    assert said == [f"{serving.address} is ready", f"{serving.address} is not ready"]
    assert json.loads(last) == {"server": serving.address, "ready": False}
