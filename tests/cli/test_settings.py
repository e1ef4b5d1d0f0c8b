from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from vouch.cli.settings import SETTINGS_FILE, CommandSettings, Flag, flag_name, parse


class BakeSettings(CommandSettings):
    """Bake bread."""

    model_config = SettingsConfigDict(env_prefix="VOUCH_BAKE_", toml_table_header=("bake",))

    loaves: Annotated[int, Flag("N"), Field(ge=1, le=50)] = 2
    """How many loaves, at 100 % of their size."""
    rest_time_s: float = 1.5
    """How long the dough rests."""
    flour: Literal["rye", "wheat"] = "rye"
    """What of."""
    note: Annotated[str, Flag("TEXT")] = ""
    """What to write on it."""
    oven: Path = Path("oven")
    """Where to bake."""
    vegan: bool = False
    """Without butter, 100 %."""

    @field_validator("oven")
    @classmethod
    def _is_no_fridge(cls, value: Path) -> Path:
        if value.name == "fridge":
            raise ValueError("expected something hot")
        return value


class SellSettings(CommandSettings):
    """Sell bread."""

    model_config = SettingsConfigDict(env_prefix="VOUCH_SELL_", toml_table_header=("sell",))

    breads: Annotated[list[str], Flag("BREAD", positional=True)]
    """Which ones."""
    price: int = 3
    """For how much."""


class BuySettings(CommandSettings):
    """Buy a bread."""

    model_config = SettingsConfigDict(env_prefix="VOUCH_BUY_", toml_table_header=("buy",))

    bread: Annotated[Path, Flag("BREAD", positional=True)]
    """Which one."""
    shop: Annotated[str, Flag("SHOP", positional=True)] = "corner"
    """Where."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, so that no settings file of somebody's is read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bake(*arguments: str) -> BakeSettings:
    return parse(BakeSettings, "vouch bake", arguments)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said on standard error about these arguments, which must be refused as wrong usage."""
    with pytest.raises(SystemExit) as exit_info:
        bake(*arguments)
    captured = capsys.readouterr()

    assert exit_info.value.code == 2
    assert captured.out == ""
    return captured.err


def test_defaults_hold_where_nothing_is_said() -> None:
    """Without flags, variables and file, the settings are the defaults of the class."""
    assert bake() == BakeSettings.model_construct()


def test_flags_win_over_environment_over_file_over_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source overrides those below it, field by field."""
    (folder / SETTINGS_FILE).write_text('[bake]\nloaves = 3\nrest_time_s = 4\nflour = "wheat"\n')
    monkeypatch.setenv("VOUCH_BAKE_LOAVES", "5")
    monkeypatch.setenv("VOUCH_BAKE_REST_TIME_S", "6")
    settings = bake("--loaves", "7")

    assert (settings.loaves, settings.rest_time_s, settings.flour, settings.note) == (7, 6.0, "wheat", "")


def test_flags_become_values_of_the_fields_type() -> None:
    """What is written on the command line arrives as number, path, choice, text and yes."""
    settings = bake(
        *("--loaves", "7", "--rest-time-s", "0.25", "--flour", "wheat", "--note", "-> you"),
        *("--oven", "/tmp/oven", "--vegan", "--json"),
    )

    assert settings == BakeSettings.model_construct(
        loaves=7,
        rest_time_s=0.25,
        flour="wheat",
        note="-> you",
        oven=Path("/tmp/oven"),
        vegan=True,
        json_output=True,
    )


def test_a_program_reads_its_own_table_and_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is meant for another program, or stands in no table, does not count and does no harm."""
    (folder / SETTINGS_FILE).write_text("loaves = 9\n[sell]\nprice = 4\nloaves = 9\n")
    monkeypatch.setenv("LOAVES", "9")
    monkeypatch.setenv("VOUCH_LOAVES", "9")

    assert bake().loaves == 2
    assert parse(SellSettings, "vouch sell", ["rolls"]).price == 4


def test_settings_do_not_change() -> None:
    """Settings are what was given, for as long as the program runs."""
    settings = bake()

    with pytest.raises(ValueError, match="frozen"):
        settings.loaves = 3


@pytest.mark.parametrize(
    ("arguments", "flag", "variable", "value"),
    [
        (("--loaves", "0"), "--loaves", "VOUCH_BAKE_LOAVES", "greater than or equal to 1, got '0'"),
        (("--loaves", "-3"), "--loaves", "VOUCH_BAKE_LOAVES", "greater than or equal to 1, got '-3'"),
        (("--loaves", "many"), "--loaves", "VOUCH_BAKE_LOAVES", "as an integer, got 'many'"),
        (("--rest-time-s", ""), "--rest-time-s", "VOUCH_BAKE_REST_TIME_S", "as a number, got ''"),
        (("--flour", "oat"), "--flour", "VOUCH_BAKE_FLOUR", "'rye' or 'wheat', got 'oat'"),
        (("--oven", "my/fridge"), "--oven", "VOUCH_BAKE_OVEN", "): expected something hot, got 'my/fridge'"),
    ],
)
def test_a_wrong_flag_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], flag: str, variable: str, value: str
) -> None:
    """The message names the flag, the variable, what was expected and what came; the exit code is 2."""
    said = refusal(capsys, *arguments)

    assert f"vouch bake: error: {flag} (or {variable}): " in said
    assert said.endswith(f"{value}\n")


def test_a_wrong_variable_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable is held to the same rules as the flag, and the message is the same."""
    monkeypatch.setenv("VOUCH_BAKE_LOAVES", "51")
    monkeypatch.setenv("VOUCH_BAKE_VEGAN", "perhaps")
    said = refusal(capsys)

    assert "--loaves (or VOUCH_BAKE_LOAVES): Input should be less than or equal to 50, got '51'" in said
    assert "--vegan (or VOUCH_BAKE_VEGAN): Input should be a valid boolean" in said
    assert "got 'perhaps'" in said


def test_a_wrong_value_in_the_file_is_refused(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """The file's values are held to the same rules."""
    (folder / SETTINGS_FILE).write_text("[bake]\nloaves = 0\n")

    assert "--loaves (or VOUCH_BAKE_LOAVES): Input should be greater than or equal to 1, got 0" in refusal(capsys)


@pytest.mark.parametrize("content", [b"[bake", b"\xff\xfe", b"bake = 3", b"bake = []"])
def test_a_broken_file_is_refused(capsys: pytest.CaptureFixture[str], folder: Path, content: bytes) -> None:
    """A settings file that is not TOML, or has something else in the table's place, is wrong usage and named."""
    (folder / SETTINGS_FILE).write_bytes(content)

    assert f"vouch bake: error: {SETTINGS_FILE}: " in refusal(capsys)


def test_an_unreadable_file_is_refused(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A settings file that is there but cannot be read is not passed over in silence."""
    (folder / SETTINGS_FILE).symlink_to("/proc/self/mem")  # for root too, reading it is an error

    assert f"vouch bake: error: {SETTINGS_FILE}: " in refusal(capsys)


@pytest.mark.parametrize("arguments", [("--loave", "3"), ("--butter",), ("rye",), ("--loaves",)])
def test_unknown_arguments_are_refused(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """A flag that is not there, shortened or without its value is wrong usage, with the usage shown."""
    said = refusal(capsys, *arguments)

    assert said.startswith("usage: vouch bake ")
    assert arguments[0] in said


def test_help_lists_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` exits with 0 and shows each flag with its sentence and its default, percent signs as they are."""
    with pytest.raises(SystemExit) as exit_info:
        parse(BakeSettings, "vouch bake", ["--help"], epilog="examples:\n  vouch bake --vegan")
    captured = capsys.readouterr()
    text = " ".join(captured.out.split())

    assert exit_info.value.code == 0
    assert captured.err == ""
    assert "Bake bread." in text
    assert "--json Print one JSON object on the last line of standard output." in text
    assert "--loaves N How many loaves, at 100 % of their size. (default: 2)" in text
    assert "--rest-time-s REST_TIME_S How long the dough rests. (default: 1.5)" in text
    assert "--flour {rye,wheat} What of. (default: rye)" in text
    assert "--note TEXT What to write on it." in text
    assert "--oven OVEN Where to bake. (default: oven)" in text
    assert "--vegan Without butter, 100 %." in text
    assert captured.out.endswith("examples:\n  vouch bake --vegan\n")


def test_positional_values_stand_by_themselves() -> None:
    """A field may take one value or several without a flag, or be left out where it has a default."""
    sell = parse(SellSettings, "vouch sell", ["rolls", "buns", "--price", "5"])
    buy = parse(BuySettings, "vouch buy", ["rye"])
    there = parse(BuySettings, "vouch buy", ["rye", "market"])

    assert (sell.breads, sell.price) == (["rolls", "buns"], 5)
    assert (buy.bread, buy.shop) == (Path("rye"), "corner")
    assert there.shop == "market"


def test_a_required_value_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    """Without its positional value a command is wrong usage."""
    with pytest.raises(SystemExit) as exit_info:
        parse(SellSettings, "vouch sell", [])

    assert exit_info.value.code == 2
    assert "required: BREAD" in capsys.readouterr().err


def test_a_variable_that_is_no_list_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable for a field of several values must be a JSON list; the message names the field."""
    monkeypatch.setenv("VOUCH_SELL_BREADS", "rolls")
    with pytest.raises(SystemExit) as exit_info:
        parse(SellSettings, "vouch sell", ["buns"])
    said = capsys.readouterr().err

    assert exit_info.value.code == 2
    assert "breads" in said
    assert SETTINGS_FILE not in said


def test_flags_are_named_after_fields() -> None:
    """Fields are flags with hyphens; only `json_output` is shorter."""
    assert flag_name("max_batch_size") == "--max-batch-size"
    assert flag_name("json_output") == "--json"
