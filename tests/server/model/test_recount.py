from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.support.tiny import ROTATED, microsoft_graph, mixing_graph, publish_tiny, tiny_graph, tiny_images
from vouch.bundle.accuracy import Accuracy
from vouch.bundle.listed import MODEL, VALIDATION
from vouch.bundle.store import ModelsFolder
from vouch.server.errors import Refused
from vouch.server.lineup.lineup import RunPlan
from vouch.server.model import loader, planning
from vouch.server.model.loader import load
from vouch.server.model.planning import load_and_plan
from vouch.server.model.recount import verify
from vouch.server.model.session import Outputs, Session
from vouch.server.model.sessions import Sessions
from vouch.server.settings import VerifySettings


def settings(**fields: float) -> VerifySettings:
    return VerifySettings(bundle=Path("unused"), threads=1, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("max_batch_size", [1, 7, 256])
async def test_a_bundle_that_keeps_its_word_is_verified(tmp_path: Path, max_batch_size: int) -> None:
    """The recount is the claim, whatever the size of a run, and progress counts up to it."""
    bundle = publish_tiny(ModelsFolder(tmp_path))
    counts: list[Accuracy] = []

    verified = await verify(bundle, settings(max_batch_size=max_batch_size), 1, counts.append)

    assert verified.served == bundle.manifest.claim.accuracy == Accuracy(correct=270, total=300)
    assert [count.total for count in counts] == [256, 300]


async def test_every_run_is_announced_with_its_images(tmp_path: Path) -> None:
    """Who waits for them may wait in proportion: one image, measuring, warming up by the largest batch, measuring, then
    the recount, in which eight images are also run alone."""
    bundle = publish_tiny(ModelsFolder(tmp_path))
    runs: list[int] = []

    await verify(bundle, settings(max_batch_size=64), 1, on_run=runs.append)

    assert runs == [1, 1, 64, 1, 256, *[1] * 8, 44]


async def test_a_claim_that_is_not_reproduced_is_refused_with_the_numbers(tmp_path: Path) -> None:
    """All hashes hold, but the graph answers otherwise than was claimed."""
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=tiny_graph(ROTATED))

    with pytest.raises(Refused, match=r"it claims 270 of 300 right and reproduces \d+; 300 of 300 answers differ"):
        await verify(bundle, settings(), 1)


async def test_several_labels_an_image_are_verified_alike(tmp_path: Path) -> None:
    """The recount is by whole images; a graph that answers other labels is refused."""
    folder = ModelsFolder(tmp_path)
    bundle = publish_tiny(folder, task="multi_label")
    swapped = publish_tiny(folder, graph=tiny_graph(ROTATED, task="multi_label"), task="multi_label")

    verified = await verify(bundle, settings(), 1)

    assert verified.served == bundle.manifest.claim.accuracy == Accuracy(correct=270, total=300)
    with pytest.raises(Refused, match=r"it claims 270 of 300 right and reproduces \d+; \d+ of 300 answers differ"):
        await verify(swapped, settings(), 1)


async def test_probabilities_have_to_be_what_the_task_says(tmp_path: Path) -> None:
    """A single-label model's sum to 1, so that a graph of the other kind is refused before anything is counted."""
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=tiny_graph(task="multi_label"))

    with pytest.raises(Refused, match="do not sum to 1"):
        await verify(bundle, settings(), 1)


async def test_probabilities_beyond_0_and_1_are_refused(tmp_path: Path) -> None:
    """Scores under the name of probabilities are none, whatever the task."""
    model = onnx.load_from_string(tiny_graph(task="multi_label"))
    model.graph.node[-1].op_type = "Identity"
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=model.SerializeToString(), task="multi_label")

    with pytest.raises(Refused, match="not between 0 and 1"):
        await verify(bundle, settings(), 1)


@pytest.mark.parametrize("name", [MODEL, VALIDATION, "README.md"])
@pytest.mark.parametrize("harm", ["cut", "zeroed", "missing"])
async def test_a_harmed_file_is_refused_before_it_is_parsed(tmp_path: Path, name: str, harm: str) -> None:
    """Whatever file it is, the refusal is about the file, not what a parser made of it."""
    bundle = publish_tiny(ModelsFolder(tmp_path))
    path = bundle.path / name
    content = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if harm == "cut" else bytes(len(content)))

    with pytest.raises(Refused, match=f"{name}"):
        await verify(bundle, settings(), 1)


async def test_answers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    """A graph whose weights became NaN is not served, whatever it counts."""
    model = onnx.load_from_string(tiny_graph())
    weights = model.graph.initializer[0]
    weights.raw_data = np.full(48, np.nan, np.float32).tobytes()
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=model.SerializeToString())

    with pytest.raises(Refused, match="contain values that are not finite"):
        await verify(bundle, settings(), 1)


async def test_digests_of_fit_images_that_are_none_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever counts right answers with a server would else be warned of nothing, for as long as it is served."""
    monkeypatch.setattr("tests.support.tiny.pack_fit_digests", lambda *_: b"no digests")
    bundle = publish_tiny(ModelsFolder(tmp_path), fit=tiny_images(3)[0])

    with pytest.raises(Refused, match=r"^fit-digests\.bin has 10 bytes; expected 16 and then 8"):
        await verify(bundle, settings(), 1)


async def test_a_graph_of_another_shape_is_refused(tmp_path: Path) -> None:
    """Input and output have to be the manifest's."""
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=tiny_graph(inputs="pictures"))

    with pytest.raises(Refused, match="model.onnx has inputs and outputs"):
        await verify(bundle, settings(), 1)


async def test_a_graph_that_mixes_the_images_of_a_batch_is_refused(tmp_path: Path) -> None:
    """Its answers to full batches are the claimed ones, and callers who send one image would get others."""
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=mixing_graph())

    with pytest.raises(Refused, match=r"8 of 8 images get other probabilities alone than in a batch of 256"):
        await verify(bundle, settings(), 1)


async def test_operators_of_another_domain_are_run_only_where_that_is_allowed(tmp_path: Path) -> None:
    """By its name; without, ONNX Runtime is not even asked."""
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=microsoft_graph())
    allowed = VerifySettings(bundle=Path("unused"), threads=1, allow_domain=("com.microsoft",))

    assert (await verify(bundle, allowed, 1)).served == bundle.manifest.claim.accuracy
    with pytest.raises(Refused, match=r"^model.onnx has operators of the domain 'com.microsoft'; .*--allow-domain"):
        await verify(bundle, settings(), 1)


async def test_data_outside_the_model_is_refused_by_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before ONNX Runtime opens it, where the data would be found too."""
    model = onnx.load_from_string(tiny_graph())
    weights = model.graph.initializer[0]
    (tmp_path / "weights").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="weights")
    bundle = publish_tiny(ModelsFolder(tmp_path / "models"), graph=model.SerializeToString())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vouch.server.model.loader.open_session", lambda *_: pytest.fail("ONNX Runtime was asked"))

    with pytest.raises(Refused, match="data outside the file"):
        await verify(bundle, settings(), 1)


@pytest.mark.parametrize(("asked_for", "cores", "expected"), [(0, 1, 1), (2, 1, 2), (3, 2, 3)])
def test_a_plan_has_as_many_threads_as_were_asked_for(
    tmp_path: Path, asked_for: int, cores: int, expected: int
) -> None:
    """Where it is left open, no more than there are cores; the session that was measured runs on them."""
    bundle = publish_tiny(ModelsFolder(tmp_path))

    session, plan = load_and_plan(bundle, VerifySettings(bundle=Path("unused"), threads=asked_for), cores)

    assert plan.threads == expected
    assert isinstance(session, Session)
    assert session.graph.get_session_options().intra_op_num_threads == expected


@pytest.mark.parametrize(
    ("cores", "asked_for", "twice_bytes", "expected"),
    [
        (1, 0, 1 << 20, RunPlan(threads=1)),
        (2, 0, 1 << 20, RunPlan(threads=2, at_once=2)),
        (2, 3, 1 << 20, RunPlan(threads=3, at_once=3)),
        (12, 0, 1 << 20, RunPlan(threads=12, at_once=6)),
        (16, 0, 1 << 20, RunPlan(threads=16, at_once=8)),
        (2, 0, 16, RunPlan(threads=2)),  # a graph of more bytes is in memory once
    ],
)
def test_a_model_whose_batches_take_long_has_as_many_runs_at_once_as_there_are_cores(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    asked_for: int,
    twice_bytes: int,
    expected: RunPlan,
) -> None:
    """Up to eight, of which each has its part of the threads; none is made on the event loop, which has others to
    hear."""
    bundle = publish_tiny(ModelsFolder(tmp_path))
    monkeypatch.setattr(planning, "is_worth_threads", lambda *_: True)
    monkeypatch.setattr(planning, "TWICE_BYTES", twice_bytes)
    monkeypatch.setattr(planning, "inline_images", lambda *_: 0)

    session, plan = load_and_plan(bundle, VerifySettings(bundle=Path("unused"), threads=asked_for), cores)

    assert plan == expected
    assert isinstance(session, Sessions if expected.at_once > 1 else Session)


@pytest.mark.parametrize(("max_batch_size", "at_once"), [(1, 1), (3, 3), (256, 4)])
def test_runs_at_once_have_no_more_images_together_than_one_run_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_batch_size: int, at_once: int
) -> None:
    """Large images are run one by one, or their layers would take many times the memory."""
    bundle, runs = publish_tiny(ModelsFolder(tmp_path)), list[int]()
    monkeypatch.setattr(planning, "is_worth_threads", lambda *_: True)

    _, plan = load_and_plan(
        bundle, VerifySettings(bundle=Path("unused"), max_batch_size=max_batch_size), 4, runs.append
    )

    assert plan.at_once == at_once
    assert max(runs) * at_once <= max_batch_size


async def test_a_recount_counts_what_both_sessions_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the one for runs beside others wrong, callers would have its answers."""

    class Wrong(Session):
        def run(self, parts: Sequence[np.ndarray]) -> Outputs:
            outputs = super().run(parts)
            alone = len(outputs.logits) == 1  # what is tried before anything is counted
            return outputs if alone else Outputs(*[values[:, ::-1].copy() for values in outputs])

    bundle = publish_tiny(ModelsFolder(tmp_path))
    monkeypatch.setattr(planning, "is_worth_threads", lambda *_: True)
    monkeypatch.setattr(loader, "Sessions", lambda alone, beside: Sessions(alone, Wrong(beside.graph)))

    with pytest.raises(Refused, match="reproduces"):
        await verify(bundle, VerifySettings(bundle=Path("unused"), threads=2), 2)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_plan_is_obeyed(tmp_path: Path, threads: int) -> None:
    """Whatever the settings say, and without a measurement: only warming up is run."""
    bundle, runs = publish_tiny(ModelsFolder(tmp_path)), list[int]()
    settings_of_one = VerifySettings(bundle=Path("unused"), threads=3, max_batch_size=64)

    session = load(bundle, settings_of_one, RunPlan(threads=threads, inline_images=7), runs.append)

    assert isinstance(session, Session)
    assert session.graph.get_session_options().intra_op_num_threads == threads
    assert runs == [64, 1]


async def test_what_is_verified_says_how_it_is_run_best(tmp_path: Path) -> None:
    """The tiny model is fast enough to be run on the event loop, one image at least."""
    verified = await verify(publish_tiny(ModelsFolder(tmp_path)), settings(), 1)

    assert verified.plan.threads == 1
    assert verified.plan.inline_images >= 1
