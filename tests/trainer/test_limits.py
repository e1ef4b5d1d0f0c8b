"""What cannot come to a good end is said before an image is decoded."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

import vouch.trainer.backbones
import vouch.trainer.limits
from vouch.bundle.confusion import MAX_CLASSES
from vouch.bundle.multi_label import Task
from vouch.sources.errors import SourceError
from vouch.sources.headers import Headers
from vouch.sources.survey import Survey
from vouch.trainer.choosing import choose
from vouch.trainer.errors import TrainError
from vouch.trainer.job import train
from vouch.trainer.kinds import ModelChoice, PresetChoice
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.learn.processes import ALONE, Processes
from vouch.trainer.limits import MAX_GRAPH_BYTES, demand_for
from vouch.trainer.limits import check_survey as check_chosen
from vouch.trainer.reading import read_splits
from vouch.trainer.settings import TrainSettings


def survey(shape: tuple[int, ...] = (8, 8), classes: int = 3, task: Task = "single_label", images: int = 100) -> Survey:
    return Survey("made up", tuple(map(str, range(classes))), task, {"all": images}, shape)


def check_survey(settings: TrainSettings, images: Survey, processes: Processes = ALONE) -> None:
    check_chosen(settings, choose(settings, images), images, processes)


@pytest.mark.parametrize(("kind", "preset"), [("linear", "auto"), ("mlp", "auto"), ("cnn", "digits"), ("cnn", "best")])
@pytest.mark.parametrize(("shape", "classes", "task"), [((9, 7), 2, "single_label"), ((8, 8, 3), 5, "multi_label")])
def test_weights_are_counted_without_making_them(
    kind: ModelChoice, preset: PresetChoice, shape: tuple[int, ...], classes: int, task: Task
) -> None:
    """As many as the real network has, buffers too, of every kind and width."""
    settings, images = TrainSettings(model=kind, preset=preset), survey(shape, classes, task)
    assert kind != "auto"
    real = Classifier(kind, shape, classes, Layers(96 if preset == "best" else 64), task)

    demand = demand_for(settings, choose(settings, images), images)

    assert demand.weights == sum(value.numel() for value in real.state_dict().values())


@pytest.mark.parametrize(
    ("kind", "shape", "classes", "gibibytes"),
    [
        ("mlp", (1040, 1040), 3, "2.1"),
        ("mlp", (600, 600, 3), 3, "2.1"),
        ("linear", (1000, 1000, 3), 200, "2.2"),
        ("linear", (4096, 4096, 3), 1000, "187.5"),
    ],
)
def test_a_graph_over_2_gib_is_refused(kind: ModelChoice, shape: tuple[int, ...], classes: int, gibibytes: str) -> None:
    """Whatever the kind, the size or the number of classes makes it so large; the remedy is named."""
    with pytest.raises(
        TrainError,
        match=rf"--model {kind} has .* weights .*: {gibibytes} GiB, but an ONNX file has at most 2 GiB; pass a",
    ):
        check_survey(TrainSettings(model=kind), survey(shape, classes))


def test_the_largest_graph_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is the file's, to the mebibyte."""
    monkeypatch.setattr(vouch.trainer.limits, "available_memory", lambda: 1 << 50)
    most = (MAX_GRAPH_BYTES // 4 - 2 * 3 - 10) // 3  # mean, scale, biases

    check_survey(TrainSettings(model="linear"), survey((1, most)))
    with pytest.raises(TrainError, match="has at most 2 GiB"):
        check_survey(TrainSettings(model="linear"), survey((1, most + 10)))


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_more_classes_than_a_manifest_holds_are_refused(task: Task) -> None:
    """Before an image is decoded, not when the manifest is written; so is a name that no label may have."""
    check_survey(TrainSettings(model="linear"), survey((1, 1), MAX_CLASSES, task))
    with pytest.raises(TrainError, match="has 10,001 classes; at most 10,000 are supported"):
        check_survey(TrainSettings(model="linear"), survey((1, 1), MAX_CLASSES + 1, task))
    with pytest.raises(TrainError, match=r"the class 'xxx.* has a name of 1,001 characters; at most 1,000 are"):
        check_survey(TrainSettings(model="linear"), Survey("", ("a", "x" * 1001), task, {"all": 9}, (1, 1)))


def test_label_sets_by_class_of_several_labels_are_refused() -> None:
    """What the data has is known before an image is decoded; with one label an image they are welcome."""
    settings = TrainSettings(model="linear", coverage_by_class=True)

    check_survey(settings, survey((4, 4), 3))
    with pytest.raises(
        TrainError, match="has several labels per image: --coverage-by-class needs exactly one label per image"
    ):
        check_survey(settings, survey((4, 4), 3, "multi_label"))


def test_more_memory_than_there_is_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fitting takes, what the images take and what is left are named, and what to do."""
    monkeypatch.setattr(vouch.trainer.limits, "available_memory", lambda: 2_000_000_000)

    check_survey(TrainSettings(model="cnn"), survey((224, 224, 3), images=1000))
    with pytest.raises(
        TrainError,
        match=r"fitting on images of 1000 x 1000 x 3 needs about \d+\.\d GB of memory, "
        r"and storing 100 of them 0\.6 GB; "
        r"this machine or container has 2\.0 GB available: pass a smaller --batch-size",
    ):
        check_survey(TrainSettings(model="cnn"), survey((1000, 1000, 3)))


@pytest.mark.parametrize(
    ("words", "advice"),
    [({}, "pass a smaller --size$"), ({"model": "cnn"}, "pass a smaller --size, or a smaller --batch-size$")],
)
def test_what_takes_less_memory_is_what_there_is(
    words: dict[str, object], advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files have a size that can be smaller, which arrays have not; a head on a backbone has no batches."""
    monkeypatch.setattr(vouch.trainer.limits, "available_memory", lambda: 1_000_000)
    monkeypatch.setattr(vouch.trainer.backbones, "available", lambda: True)
    photos = replace(survey((300, 300, 3)), headers=Headers({(300, 300): 100}, colour=True))

    with pytest.raises(TrainError, match=advice):
        check_survey(TrainSettings.model_validate(words), photos)


def test_the_memory_of_a_gpu_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitting and its images are held against what the device has left, the images on the host against the host's."""
    monkeypatch.setattr(vouch.trainer.limits, "available_memory", lambda: 2_000_000_000)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (20_000_000_000, 20_000_000_000))

    check_survey(TrainSettings(model="cnn"), survey((1000, 1000, 3)), Processes(device=torch.device("cuda")))
    with pytest.raises(TrainError, match=r"needs about \d+\.\d GB of memory; cuda has 20\.0 GB available"):
        check_survey(
            TrainSettings(model="cnn"), survey((4000, 4000, 3), images=40), Processes(device=torch.device("cuda"))
        )


def test_a_head_takes_memory_for_its_features_and_none_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the images themselves lie in a file: each has 1,280 numbers, several times."""
    monkeypatch.setattr(vouch.trainer.limits, "available_memory", lambda: 3_000_000_000)
    monkeypatch.setattr(vouch.trainer.backbones, "available", lambda: True)
    settings, cuda = TrainSettings(backbone="lite0"), Processes(device=torch.device("cuda"))

    check_survey(settings, survey((224, 224, 3), images=1_000), cuda)
    with pytest.raises(TrainError, match=r"needs about \d+\.\d GB of memory; .*has 3\.0 GB available"):
        check_survey(settings, survey((224, 224, 3), images=50_000), cuda)
    with pytest.raises(TrainError, match="needs at least 64 x 64"):
        check_survey(settings, survey((32, 32, 3)))


def test_images_that_fit_nowhere_are_refused() -> None:
    """Neither into memory nor on the disk."""
    huge = survey((10**6, 10**6))

    with pytest.raises(SourceError, match=r"100 images of 1000000 x 1000000 take 100,000\.0 GB; a quarter of "):
        check_survey(TrainSettings(model="cnn"), huge)


def test_memory_is_what_the_setting_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than there is; images beyond a quarter of it lie in a file, fitting has to do with it."""
    monkeypatch.setattr(vouch.trainer.limits, "available_memory", lambda: 8_000_000_000)

    check_survey(TrainSettings(memory=600 << 20), survey((64, 64, 3), images=1_000_000))
    with pytest.raises(
        TrainError, match=r"needs about 0\.\d GB of memory; --memory has 0\.1 GB available: pass a smaller"
    ):
        check_survey(TrainSettings(memory=64 << 20), survey((64, 64, 3), images=1_000_000))
    with pytest.raises(TrainError, match=r"this machine or container has 8\.0 GB available"):
        check_survey(TrainSettings(memory=1 << 40), survey((4000, 4000, 3)))


def undecodable(folder: Path, size: tuple[int, int] = (8, 8)) -> Path:
    """Two classes of ten images whose headers can be read and whose pixels cannot; the size is height and width."""
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        Image.new("RGB", size[::-1]).save(folder / label / "0.jpg")
        content = (folder / label / "0.jpg").read_bytes()
        begun = content[: content.index(b"\xff\xda") + 14]  # the first scan says what it has, and has it not
        for number in range(10):
            (folder / label / f"{number}.jpg").write_bytes(begun)
    return folder


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": "1100x1100", "model": "mlp"}, "has at most 2 GiB"),
        ({"size": "700x700", "model": "mlp"}, "has at most 2 GiB"),
        ({"size": "4096x4096", "model": "cnn"}, "available: pass a smaller --size"),
        ({"classes": "cat,owl"}, "has no class owl; it has cat, dog"),
        ({"single_label": True, "multi_label": True}, "has one class per image, not several labels"),
        ({"preset": "backbone", "epochs": 3}, "--epochs: does not apply to a head"),
    ],
)
def test_a_mistake_in_a_setting_costs_no_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Mapping[str, object], message: str
) -> None:
    """The images could not be decoded at all, and that is not what is said."""
    monkeypatch.setattr(vouch.trainer.limits, "available_memory", lambda: 8_000_000_000)
    settings = TrainSettings(data=str(undecodable(tmp_path / "data")), models=tmp_path / "models", device="cpu")
    began = time.process_time()

    with pytest.raises((TrainError, SourceError), match=message):
        train(settings.model_copy(update=dict(wrong)))

    assert time.process_time() - began < 5
    assert not list((tmp_path / "models").iterdir())


def test_files_are_judged_by_the_size_that_they_are_resized_to(tmp_path: Path) -> None:
    """Which is the preset's for photographs, and the user's where one is asked for."""
    folder = undecodable(tmp_path, (700, 700))

    with pytest.raises(TrainError, match=r"images of 700 x 700 x 3 and 2 classes"):
        read_splits(TrainSettings(data=str(folder), model="mlp", size="700x700"))
    with pytest.raises(SourceError, match="cannot be read"):  # cannot be decoded, and would not be too large
        read_splits(TrainSettings(data=str(folder), model="mlp"))


class Two(Processes):
    """As if there were another, on a machine with 2 GB left."""

    def least(self, value: float) -> float:
        return min(value, 2_000_000_000)


def test_processes_of_one_machine_share_its_memory_and_decide_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least that one of them has left, divided by their number: none ends the others because it looked later."""
    monkeypatch.setattr(vouch.trainer.limits, "available_memory", lambda: 8_000_000_000)
    images = survey((224, 224, 3), images=1000)

    check_survey(TrainSettings(model="cnn"), images, Two(count=2))
    with pytest.raises(TrainError, match=r"has 0\.2 GB available"):
        check_survey(TrainSettings(model="cnn"), images, Two(count=10, on_machine=10))


def test_several_processes_are_refused_a_head_on_a_backbone() -> None:
    """Before a photograph is decoded, with what to do instead, which is then taken."""
    photographs = survey((224, 224, 3), images=1000)

    with pytest.raises(TrainError, match=r"without torchrun, or pass --backbone none to train a network from scratch"):
        check_survey(TrainSettings(backbone="lite0"), photographs, Two(count=2))
    check_survey(TrainSettings(backbone="none"), photographs, Two(count=2))
