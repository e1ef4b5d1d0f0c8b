"""Which preset fits which images, as a table."""

from dataclasses import replace

import pytest

import vouch.trainer.backbones
from vouch.sources.headers import Headers
from vouch.sources.survey import Survey
from vouch.trainer.choosing import Looks, choose, fit_images, pick
from vouch.trainer.kinds import ModelKind, PresetName
from vouch.trainer.learn.presets import FEW_PHOTOS
from vouch.trainer.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("no_settings")


def files(*sizes: tuple[int, int], colour: bool = True, count: int = 100) -> Survey:
    """Of files with these heights and widths."""
    headers = Headers(dict.fromkeys(sizes, count), colour)
    return Survey("photos", ("cat", "dog"), "single_label", {"all": count * len(sizes)}, headers.shape, headers)


def arrays(*shape: int, count: int = 100) -> Survey:
    return Survey("made", ("cat", "dog"), "single_label", {"fit": count}, shape)


@pytest.mark.parametrize(
    ("looks", "preset", "reason"),
    [
        (Looks((28, 28), False, 60_000), "digits", "small grey images of 28 x 28"),
        (Looks((8, 64), False, 5), "digits", "small grey images of 8 x 64"),
        (Looks((32, 32), True, 50_000), "small", "small colour images of 32 x 32"),
        (Looks((64, 64), True, FEW_PHOTOS), "small", "small colour images of 64 x 64"),
        (Looks((65, 20), True, 300), "backbone", "colour images of 65 x 20, fewer than 5,000 of them"),
        (Looks((1024, 1024), False, 300), "backbone", "grey images of 1024 x 1024, fewer than 5,000 of them"),
        (
            Looks((480, 640), True, FEW_PHOTOS),
            "photos",
            "5,000 of them to learn from, which is enough to train from scratch",
        ),
        (Looks((480, 640), True, FEW_PHOTOS - 1), "backbone", "fewer than 5,000 of them"),
        (Looks((480, 640), True, 300, "--backbone none"), "photos", "from scratch: --backbone none"),
    ],
)
def test_the_preset_follows_from_what_the_images_look_like(looks: Looks, preset: PresetName, reason: str) -> None:
    """By size, colour, number, and whether a backbone can be had; the reason names what decided."""
    found, why = pick(looks)

    assert found == preset
    assert reason in why


@pytest.mark.parametrize(
    ("words", "preset", "model"),
    [
        ({}, "backbone", "backbone"),
        ({"preset": "photos"}, "photos", "cnn"),
        ({"preset": "digits", "model": "linear"}, "digits", "linear"),
        ({"preset": "best"}, "best", "cnn"),
        ({"model": "cnn"}, "photos", "cnn"),
        ({"model": "mlp"}, "photos", "mlp"),
        ({"backbone": "none"}, "photos", "cnn"),
        ({"backbone": "lite0"}, "backbone", "backbone"),
        ({"fine_tune": True}, "backbone", "backbone"),
    ],
)
def test_what_a_flag_says_is_done(
    words: dict[str, object], preset: PresetName, model: ModelKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network by name learns from scratch; a preset by name is taken; a backbone by name is one."""
    monkeypatch.setattr(vouch.trainer.backbones, "available", lambda: True)
    chosen = choose(TrainSettings.model_validate(words), files((480, 640)))

    assert (chosen.preset, chosen.model) == (preset, model)
    assert chosen.sentence().startswith(f"preset: {preset}")


@pytest.mark.parametrize(
    ("survey", "words", "why"),
    [
        (arrays(96, 60, 3), {}, "a backbone needs images of at least 64 x 64 pixels"),
        (arrays(96, 96, 4), {}, "these have 4"),
        (files((480, 640)), {"channels": 2}, "these have 2"),
    ],
)
def test_what_no_backbone_takes_is_learned_from_scratch(
    survey: Survey, words: dict[str, object], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless somebody asks for one; files are resized, so their sides are no reason."""
    monkeypatch.setattr(vouch.trainer.backbones, "available", lambda: True)
    chosen = choose(TrainSettings.model_validate(words), survey)

    assert chosen.preset == "photos"
    assert why in chosen.reason
    assert choose(TrainSettings(), files((480, 60))).preset == "backbone"


def test_small_images_may_have_a_backbone_too() -> None:
    """Where one is asked for; by themselves they have none."""
    assert choose(TrainSettings(), arrays(32, 32, 3)).preset == "small"
    assert choose(TrainSettings(backbone="lite0"), arrays(32, 32, 3)).model == "backbone"


@pytest.mark.parametrize(
    ("words", "survey", "size"),
    [
        ({}, files((480, 640)), (224, 224)),
        ({}, files((480, 640), (640, 480)), (224, 224)),
        ({"backbone": "none"}, files((96, 96)), (96, 96)),
        ({"backbone": "lite0"}, files((96, 96)), (224, 224)),
        ({}, files((96, 96), (90, 96)), (224, 224)),
        ({}, files((28, 28)), (28, 28)),
        ({}, files((20, 24), (20, 26), (22, 30)), (20, 26)),
        ({"preset": "digits"}, files((480, 640)), (224, 224)),
        ({"size": "64x48"}, files((480, 640)), (64, 48)),
        ({"backbone": "lite0"}, files((28, 28)), (224, 224)),
        ({"backbone": "a.onnx", "backbone_size": "96"}, files((480, 640)), (96, 96)),
        ({}, arrays(300, 200, 3), (300, 200)),
    ],
)
def test_files_become_what_the_preset_takes(words: dict[str, object], survey: Survey, size: tuple[int, int]) -> None:
    """Small ones keep the size that they have or take the median; photographs are made 224 x 224; arrays stay."""
    chosen = choose(TrainSettings.model_validate(words), survey)

    assert survey.as_wanted(chosen.wanted).shape[:2] == size


@pytest.mark.parametrize(
    ("words", "survey", "fit"),
    [
        ({}, files((480, 640)), "crop"),
        ({}, files((360, 640)), "crop"),
        ({}, files((300, 640)), "stretch"),
        ({}, files((80, 1600), (80, 1200), (480, 640)), "stretch"),
        ({"fit": "crop"}, files((80, 1600)), "crop"),
        ({}, files((20, 24), (20, 26)), "stretch"),
        ({"size": "160"}, files((480, 640)), "crop"),
        ({"fit": "pad"}, files((480, 640)), "pad"),
        ({"fit": "crop", "size": "96"}, files((480, 640)), "crop"),
    ],
)
def test_photographs_are_cropped_unless_little_would_be_left(
    words: dict[str, object], survey: Survey, fit: str
) -> None:
    """Photographs are cropped, at a size from a flag too, unless the flag for it says otherwise."""
    assert choose(TrainSettings.model_validate(words), survey).wanted.fit == fit


def test_labels_of_files_may_be_wrong() -> None:
    """So hard images are not learned more often there, nor with weights for classes, unless somebody asks for it."""
    settings = TrainSettings(preset="photos")

    assert choose(settings, files((9, 9))).asked(settings).doubtful
    assert not choose(settings, arrays(9, 9)).asked(settings).doubtful


def test_the_number_of_fit_images_is_known_before_the_split() -> None:
    """What is kept aside for tune and validation is not counted."""
    settings = TrainSettings()
    whole, split = arrays(9, 9, count=1000), replace(arrays(9, 9), sizes={"fit": 900, "tune": 50, "validation": 9})

    assert fit_images(settings, whole) == 1000
    assert fit_images(settings, replace(whole, sizes={"all": 1000})) == 800
    assert fit_images(settings.model_copy(update={"tune_share": 0.1}), whole) == 900
    assert fit_images(settings, split) == 900
