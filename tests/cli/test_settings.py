from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field, field_validator

from vouch.cli.settings import SETTINGS_FILE, CommandSettings, Flag, flag_name, parse


class BakeSettings(CommandSettings):
    """Bake bread."""

    table: ClassVar = "bake"

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
    heat: Annotated[float, Field(gt=0, lt=1000)] = 230
    """Of the oven."""
    port: int = 0
    """Where it is sold."""
    recipe: Path | None = None
    """Of whom."""
    topping: Annotated[tuple[str, ...], Flag("THING")] = ()
    """What lies on it; may be passed several times."""

    @field_validator("oven")
    @classmethod
    def _is_no_fridge(cls, value: Path) -> Path:
        if value.name == "fridge":
            raise ValueError("expected something hot")
        return value


class SliceSettings(CommandSettings):
    """Slice bread, in the same program."""

    table: ClassVar = "bake"

    servings: int = 1
    """How many slices."""


class SellSettings(CommandSettings):
    """Sell bread."""

    table: ClassVar = "sell"

    breads: Annotated[list[str], Flag("BREAD", positional=True)]
    """Which ones."""
    price: int = 3
    """For how much."""


class BuySettings(CommandSettings):
    """Buy a bread."""

    table: ClassVar = "buy"

    bread: Annotated[Path, Flag("BREAD", positional=True)] = Path("rolls")
    """Which one."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, so that no settings file of somebody's is read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bake(*arguments: str) -> BakeSettings:
    return parse(BakeSettings, "vouch bake", arguments)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is wrong with these arguments, in one line; the line below it names the help."""
    with pytest.raises(SystemExit) as exit_info:
        bake(*arguments)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()

    assert exit_info.value.code == 2
    assert captured.out == ""
    assert lines[-1] == "vouch bake --help shows the options"
    assert all(line.startswith("vouch bake: error: ") for line in lines[:-1])
    return "\n".join(line.removeprefix("vouch bake: error: ") for line in lines[:-1])


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
    """What is meant for another program does not count and does no harm."""
    (folder / SETTINGS_FILE).write_text("[train]\nepochs = 4\n[bake]\nloaves = 3\n")
    monkeypatch.setenv("LOAVES", "9")
    monkeypatch.setenv("VOUCH_LOAVES", "9")
    monkeypatch.setenv("VOUCH_SELL_LOAVES", "9")

    assert bake().loaves == 3


@pytest.mark.parametrize(
    ("flags", "vegan"), [((), True), (("--vegan",), True), (("--no-vegan",), False), (("--no-vegan", "--vegan"), True)]
)
def test_a_boolean_can_be_said_either_way(folder: Path, flags: tuple[str, ...], vegan: bool) -> None:
    """A flag overrules a yes of the file; of two flags the last one counts."""
    (folder / SETTINGS_FILE).write_text("[bake]\nvegan = true\n")

    assert bake(*flags).vegan is vegan


def test_no_to_a_flag_overrules_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does the file."""
    monkeypatch.setenv("VOUCH_BAKE_VEGAN", "yes")

    assert (bake().vegan, bake("--no-vegan").vegan) == (True, False)


def test_an_empty_value_leaves_out_what_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files pass variables on that are not set, as empty text."""
    monkeypatch.setenv("VOUCH_BAKE_RECIPE", "")

    assert bake().recipe is None


def test_settings_do_not_change() -> None:
    """Settings are what was given, for as long as the program runs."""
    settings = bake()

    with pytest.raises(ValueError, match="frozen"):
        settings.loaves = 3


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (("--loaves", "0"), "--loaves (or VOUCH_BAKE_LOAVES): expected a whole number from 1 to 50, got '0'"),
        (("--loaves=-3",), "--loaves (or VOUCH_BAKE_LOAVES): expected a whole number from 1 to 50, got '-3'"),
        (("--loaves", "many"), "--loaves (or VOUCH_BAKE_LOAVES): expected a whole number from 1 to 50, got 'many'"),
        (("--rest-time-s", ""), "--rest-time-s (or VOUCH_BAKE_REST_TIME_S): expected a number, got ''"),
        (
            ("--heat", "inf"),
            "--heat (or VOUCH_BAKE_HEAT): expected a number, above 0 and below 1,000, got 'inf'",
        ),
        (
            ("--flour", "weat"),
            "--flour (or VOUCH_BAKE_FLOUR): expected rye or wheat, got 'weat'; did you mean wheat?",
        ),
        (("--flour", "oat"), "--flour (or VOUCH_BAKE_FLOUR): expected rye or wheat, got 'oat'"),
        (("--oven", "my/fridge"), "--oven (or VOUCH_BAKE_OVEN): expected something hot, got 'my/fridge'"),
    ],
)
def test_a_wrong_flag_is_refused(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], wrong: str) -> None:
    """The message names the flag, the variable, what was expected and what came; the exit code is 2."""
    assert refusal(capsys, *arguments) == wrong


def test_a_wrong_variable_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable is held to the same rules as the flag; the message names it alone, a line for each."""
    monkeypatch.setenv("VOUCH_BAKE_LOAVES", "51")
    monkeypatch.setenv("VOUCH_BAKE_VEGAN", "perhaps")

    assert refusal(capsys).splitlines() == [
        "VOUCH_BAKE_LOAVES: expected a whole number from 1 to 50, got '51'",
        "VOUCH_BAKE_VEGAN: expected true or false, got 'perhaps'",
    ]


def test_a_wrong_value_in_the_file_is_refused(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """The file's values are held to the same rules."""
    (folder / SETTINGS_FILE).write_text("[bake]\nloaves = 0\nnote = 3\n")

    assert refusal(capsys).splitlines() == [
        "vouch.toml: [bake] loaves: expected a whole number from 1 to 50, got 0",
        "vouch.toml: [bake] note: expected text, got 3",
    ]


def test_a_very_long_value_is_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody reads a message of a thousand characters."""
    assert len(refusal(capsys, "--loaves", "9" * 5000)) < 200


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"[bake", "vouch.toml is not TOML: "),
        (b"\xff\xfe", "vouch.toml is not TOML: "),
        (b"bake = 3", "vouch.toml: bake is not a table; expected [bake]"),
        (b"bake = []", "vouch.toml: bake is not a table; expected [bake]"),
        (b"loaves = 3", "vouch.toml: loaves is outside of all tables; expected it below one of [bake], [train], "),
        (b"[bakes]\nloaves = 3", "vouch.toml: unknown table [bakes]; did you mean [bake]?"),
        (b"[fridge]", "vouch.toml: unknown table [fridge]"),
        (b"[predict]\ntop = 3", "vouch.toml: unknown table [predict]; vouch predict reads [client]"),
        (b"[bake]\nloafs = 3", "vouch.toml: unknown setting loafs in [bake]; did you mean loaves?"),
        (b"[bake]\nrest-time-s = 3", "vouch.toml: unknown setting rest-time-s in [bake]; did you mean rest_time_s?"),
        (b"[bake]\njson = true", "vouch.toml: unknown setting json in [bake]; did you mean json_output?"),
        (b"[bake]\nqwxz = true", "vouch.toml: unknown setting qwxz in [bake]"),
        (b"[bake]\nbatches = 3", "vouch.toml: unknown setting batches in [bake]; it belongs to [client]"),
        (b"[bake]\nmodels = 3", "vouch.toml: unknown setting models in [bake]; it belongs to [train] or [serve]"),
    ],
)
def test_a_file_that_says_what_nobody_understands_is_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, content: bytes, wrong: str
) -> None:
    """Nothing in it is ignored: what is not known is an error that names the nearest known one, or where it belongs."""
    (folder / SETTINGS_FILE).write_bytes(content)

    assert refusal(capsys).startswith(wrong)
    assert refusal(capsys).count("\n") == 0


def test_true_in_the_file_is_no_number(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Python takes true for 1, and nobody who writes it means that."""
    (folder / SETTINGS_FILE).write_text("[bake]\nloaves = true\n")

    assert refusal(capsys).splitlines() == ["vouch.toml: [bake] loaves: expected a whole number from 1 to 50, got true"]


def test_an_unreadable_file_is_refused(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A settings file that is there but cannot be read is not passed over in silence."""
    (folder / SETTINGS_FILE).symlink_to("/proc/self/mem")  # for root too, reading it is an error

    assert refusal(capsys).startswith(f"{SETTINGS_FILE} cannot be read: ")


def test_commands_of_one_table_share_its_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only another command of the table reads is no mistake."""
    (folder / SETTINGS_FILE).write_text("[bake]\nservings = 9\n")
    monkeypatch.setenv("VOUCH_BAKE_SERVINGS", "many")

    assert bake().loaves == 2


def test_an_unknown_variable_is_a_warning(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the nearest known one; variables of other programs and other people are not looked at."""
    monkeypatch.setenv("VOUCH_BAKE_LOAFS", "3")
    monkeypatch.setenv("VOUCH_BAKE_QWXZ", "3")
    monkeypatch.setenv("VOUCH_BAKERS", "3")
    monkeypatch.setenv("VOUCH_SERVE_PROT", "3")
    bake()

    assert capsys.readouterr().err.splitlines() == [
        "warning: VOUCH_BAKE_LOAFS is not a setting and is ignored; did you mean VOUCH_BAKE_LOAVES?",
        "warning: VOUCH_BAKE_QWXZ is not a setting and is ignored",
    ]


LINKS = {
    "VOUCH_BAKE_PORT": "tcp://10.0.0.1:8081",
    "VOUCH_BAKE_PORT_8081_TCP": "tcp://10.0.0.1:8081",
    "VOUCH_BAKE_PORT_8081_TCP_ADDR": "10.0.0.1",
    "VOUCH_BAKE_PORT_8081_TCP_PORT": "8081",
    "VOUCH_BAKE_PORT_8081_TCP_PROTO": "tcp",
    "VOUCH_BAKE_SERVICE_HOST": "10.0.0.1",
    "VOUCH_BAKE_SERVICE_PORT": "8081",
    "VOUCH_BAKE_SERVICE_PORT_GRPC": "8081",
    "VOUCH_BAKE_CANARY_PORT": "udp://10.0.0.2:53",
    "VOUCH_BAKE_CANARY_SERVICE_HOST": "10.0.0.2",
}


def test_what_kubernetes_sets_for_a_service_of_our_name_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one variable that is taken for a setting is an error with the remedy, the others are not worth a warning."""
    for variable, value in LINKS.items():
        monkeypatch.setenv(variable, value)

    assert refusal(capsys) == (
        "VOUCH_BAKE_PORT: expected a whole number, got 'tcp://10.0.0.1:8081'; Kubernetes sets this for a service named "
        "vouch-bake: set enableServiceLinks: false in the pod, or give the service another name"
    )
    assert bake("--port", "80").port == 80
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (("--loave", "3"), "unknown option --loave; did you mean --loaves?"),
        (("--loafs=3",), "unknown option --loafs; did you mean --loaves?"),
        (("--rest_time_s", "3"), "unknown option --rest_time_s; did you mean --rest-time-s?"),
        (("-loaves", "3"), "unknown option -loaves; did you mean --loaves?"),
        (("--no-vegn",), "unknown option --no-vegn; did you mean --no-vegan?"),
        (("--qwxz",), "unknown option --qwxz"),
        (("rye",), "unexpected argument 'rye': this command takes only options"),
        (("--loaves",), "--loaves: expected a value"),
        (("--loaves", "--vegan"), "--loaves: expected a value"),
        (("--vegan=no",), "--vegan/--no-vegan: takes no value"),
    ],
)
def test_unknown_arguments_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], wrong: str
) -> None:
    """A flag that is not there, shortened or without its value is wrong usage; the nearest known one is named."""
    assert refusal(capsys, *arguments) == wrong


def test_help_lists_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` exits with 0 and shows each flag with its sentence and its default, percent signs as they are."""
    with pytest.raises(SystemExit) as exit_info:
        parse(BakeSettings, "vouch bake", ["--help"], epilog="examples:\n  vouch bake --vegan")
    captured = capsys.readouterr()
    text = " ".join(captured.out.split())

    assert exit_info.value.code == 0
    assert captured.err == ""
    assert text.startswith("usage: vouch bake [OPTION ...] Bake bread.")
    assert "--json, --no-json Print one JSON object on the last line of standard output." in text
    assert "--loaves N How many loaves, at 100 % of their size. (default: 2)" in text
    assert "--rest-time-s REST_TIME_S How long the dough rests. (default: 1.5)" in text
    assert "--flour {rye,wheat} What of. (default: rye)" in text
    assert "--note TEXT What to write on it." in text
    assert "--oven OVEN Where to bake. (default: oven)" in text
    assert "--vegan, --no-vegan Without butter, 100 %. --heat" in text
    assert "VOUCH_BAKE_LOAVES for --loaves" in text
    assert captured.out.endswith("examples:\n  vouch bake --vegan\n")


def test_positional_values_stand_by_themselves() -> None:
    """A field may take several values without a flag, before and behind flags; what follows -- is no flag."""
    sell = parse(SellSettings, "vouch sell", ["rolls", "--price", "5", "buns", "-", "--", "--json"])

    assert (sell.breads, sell.price, sell.json_output) == (["rolls", "buns", "-", "--json"], 5, False)


def test_a_positional_value_may_be_left_out_or_have_its_flag(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it has a default; a value by itself is over the environment too, and two different ones are refused."""
    monkeypatch.setenv("VOUCH_BUY_BREAD", "buns")
    given = [parse(BuySettings, "vouch buy", words).bread for words in ([], ["rye"], ["--bread", "rye"])]
    for words in (["rye", "--bread", "oat"], ["rye", "oat"]):
        with pytest.raises(SystemExit):
            parse(BuySettings, "vouch buy", words)

    assert given == [Path("buns"), Path("rye"), Path("rye")]
    assert capsys.readouterr().err.splitlines()[::2] == [
        "vouch buy: error: 'rye' and --bread 'oat' differ; expected one of them",
        "vouch buy: error: expected one BREAD, got 2: rye oat",
    ]


def test_a_required_value_must_be_given(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its value a command is wrong usage; a variable will do."""
    with pytest.raises(SystemExit) as exit_info:
        parse(SellSettings, "vouch sell", [])
    monkeypatch.setenv("VOUCH_SELL_BREADS", '["rolls"]')

    assert exit_info.value.code == 2
    assert capsys.readouterr().err == "vouch sell: error: BREAD is missing\nvouch sell --help shows the options\n"
    assert parse(SellSettings, "vouch sell", []).breads == ["rolls"]


def test_a_flag_that_takes_several_is_passed_several_times(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them count, and they win over a variable and the file, which have lists."""
    assert bake().topping == ()
    (folder / "vouch.toml").write_text('[bake]\ntopping = ["salt"]\n')
    assert bake().topping == ("salt",)
    monkeypatch.setenv("VOUCH_BAKE_TOPPING", '["sesame", "poppy"]')
    assert bake().topping == ("sesame", "poppy")

    assert bake("--topping", "figs", "--topping=nuts, dates").topping == ("figs", "nuts, dates")


def test_a_variable_that_is_no_list_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable for a field of several values must be a JSON list; the message names it."""
    monkeypatch.setenv("VOUCH_SELL_BREADS", "rolls")
    with pytest.raises(SystemExit) as exit_info:
        parse(SellSettings, "vouch sell", [])

    assert exit_info.value.code == 2
    assert "VOUCH_SELL_BREADS: expected a list in JSON" in capsys.readouterr().err
    assert parse(SellSettings, "vouch sell", ["buns"]).breads == ["buns"]


def test_flags_are_named_after_fields() -> None:
    """Fields are flags with hyphens; only `json_output` is shorter."""
    assert flag_name("max_batch_size") == "--max-batch-size"
    assert flag_name("json_output") == "--json"
