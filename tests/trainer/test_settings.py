from pathlib import Path

import pytest
from pydantic import ValidationError

from vouch.cli.settings import parse
from vouch.sources.wanted import Wanted
from vouch.trainer.settings import NOT_DECIDING, TrainSettings

pytestmark = pytest.mark.usefixtures("no_settings")


def parsed(*arguments: str) -> TrainSettings:
    return parse(TrainSettings, "vouch train", arguments)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_info:
        parsed(*arguments)

    assert exit_info.value.code == 2
    return capsys.readouterr().err


def test_defaults_train_on_the_digits() -> None:
    """Without arguments there is data at hand, a network, a place for the model, and no class left out."""
    settings = parsed()

    assert (settings.data, settings.models) == ("digits", Path("models"))
    assert (settings.preset, settings.model, settings.backbone, settings.fit) == ("auto",) * 4
    assert (settings.chosen_classes, settings.image_size, settings.model_name) == ((), None, "digits")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("digits", "digits"),
        ("mnist", "mnist"),
        ("../My Digits.npz", "my-digits"),
        ("photos/", "photos"),
        ("/data/Käfer & Co/", "k-fer-co"),
        ("archive.2026.csv", "archive.2026"),
        ("_private_.npz", "private"),
        ("写真", "model"),
        (f"/data/{'x' * 80}", "x" * 63),
    ],
)
def test_a_name_is_made_from_the_data(data: str, name: str) -> None:
    """Where no name is given, the last part of the path becomes one that a models folder allows."""
    assert parsed("--data", data).model_name == name


def test_the_folder_one_is_in_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is only dots is named after the folder it leads to."""
    (tmp_path / "Flowers" / "raw").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "Flowers" / "raw")

    assert parsed("--data", ".").model_name == "raw"
    assert parsed("--data", "..").model_name == "flowers"


def test_data_may_stand_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """`vouch train photos/` is `vouch train --data photos/`; two different ones are wrong usage."""
    assert parsed("photos/", "--seed", "3") == parsed("--seed", "3", "--data", "photos/")
    assert parsed("photos/", "--data", "photos/").data == "photos/"
    assert "'photos/' and --data 'mnist' differ" in refusal(capsys, "--data", "mnist", "photos/")


def test_a_given_name_is_taken() -> None:
    """The user's own name is not changed."""
    assert parsed("--data", "mnist", "--name", "threes-and-sevens").model_name == "threes-and-sevens"


@pytest.mark.parametrize("name", ["../outside", "a/b", "Sevens", "..", ".hidden", "pets\n", "x" * 64])
def test_a_name_that_is_no_folders_is_refused(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A name that a models folder does not allow is wrong usage, told before anything is read."""
    assert "--name (or VOUCH_TRAIN_NAME): expected 1 to 63 of a-z" in refusal(capsys, "--name", name)


def test_classes_keep_their_order() -> None:
    """Classes are named with commas between; the order is the user's."""
    assert parsed("--classes", "7, 3,cat").chosen_classes == ("7", "3", "cat")


def test_one_class_alone_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to tell apart in a single class."""
    assert "--classes (or VOUCH_TRAIN_CLASSES): expected two or more" in refusal(capsys, "--classes", "3")


@pytest.mark.parametrize(
    ("classes", "message"),
    [("3,7,3", "expected each class once; 3 is named 2 times"), ("cat,,dog", "expected two or more class names")],
)
def test_classes_that_no_data_has_are_refused(capsys: pytest.CaptureFixture[str], classes: str, message: str) -> None:
    """Before any data is read."""
    assert message in refusal(capsys, "--classes", classes)


@pytest.mark.parametrize("size", ["9999x9999", "4097x64", "64x4097", "100000x100000", "4097"])
def test_a_size_has_a_bound(capsys: pytest.CaptureFixture[str], size: str) -> None:
    """It is named; the bound itself is taken."""
    assert f"HEIGHTxWIDTH or one number for both, from 1 to 4096, such as 64x48 or 64, got '{size}'" in refusal(
        capsys, "--size", size
    )
    assert parsed("--size", "4096x4096").image_size == (4096, 4096)


def test_labels_are_taken_as_they_are_unless_a_flag_says_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    """One label an image, or any number of them; not both."""
    assert parsed().task is None
    assert parsed("--multi-label").task == "multi_label"
    assert parsed("--single-label").task == "single_label"
    assert "--multi-label and --single-label exclude each other" in refusal(capsys, "--multi-label", "--single-label")
    assert "--coverage-by-class needs exactly one label per image" in refusal(
        capsys, "--multi-label", "--coverage-by-class"
    )


@pytest.mark.parametrize(
    ("size", "written"),
    [
        ("64x48", "64x48"),
        ("64", "64x64"),
        ("64X48", "64x48"),
        ("64\u00d748", "64x48"),
        ("64,48", "64x48"),
        ("64 x 48", "64x48"),
        (" 64\n", "64x64"),
    ],
)
def test_a_size_is_height_and_width(size: str, written: str) -> None:
    """`--size` says height, then width, or one number for both; however it is written, the setting is the same."""
    settings = parsed("--size", size)

    assert (settings.size, settings.image_size) == (written, tuple(map(int, written.split("x"))))


def test_a_size_may_be_a_number_in_the_file() -> None:
    """`size = 64` in vouch.toml is what `--size 64` is."""
    Path("vouch.toml").write_text("[train]\nsize = 64\n")

    assert parsed().size == "64x64"


@pytest.mark.parametrize("size", ["x", "64x", "0x8", "0", "64x-8", "-64", "99999x1", "8x8x3", "big", "6.5"])
def test_a_size_of_another_form_is_refused(capsys: pytest.CaptureFixture[str], size: str) -> None:
    """Anything but one or two numbers from 1 to 4096 is wrong usage."""
    assert "--size (or VOUCH_TRAIN_SIZE)" in refusal(capsys, "--size", size)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--epochs", "-1"),
        ("--epochs", "1.5"),
        ("--batch-size", "65537"),
        ("--learning-rate", "-0.1"),
        ("--learning-rate", "nan"),
        ("--learning-rate", "inf"),
        ("--seed", str(2**32)),
        ("--seed", "-1"),
        ("--tune-share", "0"),
        ("--tune-share", "0.5"),
        ("--validation-share", "0.9"),
        ("--validation-share", "nan"),
        ("--model", "transformer"),
        ("--loss", "hinge"),
        ("--device", "tpu"),
    ],
)
def test_what_is_out_of_range_is_refused(capsys: pytest.CaptureFixture[str], arguments: tuple[str, str]) -> None:
    """A value that cannot be trained with is wrong usage, and the message names its flag."""
    assert f"error: {arguments[0]} (or VOUCH_TRAIN_" in refusal(capsys, *arguments)


def test_the_largest_seed_is_taken() -> None:
    """Every seed of 32 bits is one."""
    assert parsed("--seed", str(2**32 - 1)).seed == 2**32 - 1


@pytest.mark.parametrize(
    ("typed", "ground"),
    [("white", "#ffffff"), ("Black", "#000000"), ("ff8000", "#ff8000"), ("#FF8000", "#ff8000")],
)
def test_a_ground_is_a_colour(typed: str, ground: str) -> None:
    """By name or in hexadecimal digits; a shell takes what follows a # for a comment, so that it may be left out."""
    assert TrainSettings(ground=typed).decoding == Wanted(ground=ground)


@pytest.mark.parametrize("words", [("--ground", "grue"), ("--bits", "7"), ("--bits", "17"), ("--channels", "5")])
def test_what_cannot_be_decoded_is_refused(capsys: pytest.CaptureFixture[str], words: tuple[str, str]) -> None:
    """With the setting's name."""
    assert words[0] in refusal(capsys, *words)


def test_memory_is_said_with_a_unit(capsys: pytest.CaptureFixture[str]) -> None:
    """It decides where images are, never what is learned from them: a repeated training does not take it over."""
    assert parsed("--memory", "1.5G").memory == 3 << 29
    assert parsed("--memory", "1.5G").decoding == Wanted(memory=3 << 29)
    assert "memory" in NOT_DECIDING
    assert "such as 500M, 2G" in refusal(capsys, "--memory", "plenty")


def test_threads_are_the_flags_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--threads` is over OMP_NUM_THREADS, which is over our own choice; of a list the first counts."""
    assert parsed().threads == 0
    monkeypatch.setenv("OMP_NUM_THREADS", "3,1")
    assert parsed().threads == 3
    assert parsed("--threads", "1").threads == 1


@pytest.mark.parametrize("said", ["two", "0", "-1", "100000", " "])
def test_a_wrong_number_in_the_environment_is_an_error(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the variable; where `--threads` says otherwise nobody looks at it."""
    monkeypatch.setenv("OMP_NUM_THREADS", said)

    with pytest.raises(ValidationError, match=r"\$OMP_NUM_THREADS"):
        TrainSettings()
    assert TrainSettings(threads=2).threads == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--preset best --model linear", "--preset best is for a cnn"),
        ("--preset backbone --model cnn", "--model cnn trains from scratch and cannot be combined with a backbone"),
        (
            "--backbone lite0 --model linear",
            "--model linear trains from scratch and cannot be combined with a backbone",
        ),
        ("--backbone lite0 --preset photos", "--preset photos trains from scratch and excludes --backbone"),
        ("--fine-tune --preset digits", "--preset digits trains from scratch and excludes --fine-tune"),
        ("--backbone none --preset backbone", "--preset backbone and --backbone none exclude each other"),
        ("--backbone resnet", "expected auto, none, lite0, or the path to an .onnx file, got 'resnet'"),
        ("--backbone-mean 0.5", "--backbone-mean is about a file: pass --backbone FILE.onnx too"),
        (
            "--backbone a.onnx --backbone-scale 1,2",
            "--backbone-scale (or VOUCH_TRAIN_BACKBONE_SCALE): expected",
        ),
        ("--backbone a.onnx --fine-tune", "--fine-tune is for lite0"),
        ("--model mlp --crop 0.9", "--crop is for a cnn; leave it out with --model mlp"),
        ("--model linear --no-flip", "--flip is for a cnn; leave it out with --model linear"),
        ("--width 17", "--width (or VOUCH_TRAIN_WIDTH)"),
        ("--recipe best", "--recipe was removed: use --preset"),
    ],
)
def test_what_does_not_go_together_is_refused(capsys: pytest.CaptureFixture[str], words: str, message: str) -> None:
    """One line says which of the two to leave out."""
    assert message in refusal(capsys, *words.split())


def test_what_goes_together_is_taken() -> None:
    """A backbone's own settings beside it, a cnn's beside one, and a switch either way or neither."""
    file = parsed("--backbone", "dir/A.ONNX", "--backbone-mean", "124, 116,104", "--backbone-size", "96")

    assert (file.backbone_file, file.backbone_mean) == ("dir/A.ONNX", "124,116,104")
    assert (file.backbone_image_size, parsed().backbone_image_size) == ((96, 96), None)
    assert [parsed(*words).flip for words in ((), ("--flip",), ("--no-flip",))] == [None, True, False]
    assert parsed("--model", "cnn", "--rotation", "5").rotation == 5
