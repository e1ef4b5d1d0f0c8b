"""What holds for the settings of every command, whichever they are."""

import os
from pathlib import Path
from typing import get_args

import pytest

from vouch import commands
from vouch.cli.explained import sentences
from vouch.cli.flags import is_switch
from vouch.cli.programs import COMMANDS
from vouch.cli.settings import CommandSettings, CompletionSettings, flag_name, parse, settings_of
from vouch.client.settings import BenchSettings, EvaluateSettings, HealthSettings, PredictSettings, StatusSettings
from vouch.server.settings import ServeSettings, SignSettings, VerifySettings
from vouch.trainer.settings import CompareSettings, TrainSettings

SETTINGS: dict[str, type[CommandSettings]] = {
    "train": TrainSettings,
    "compare": CompareSettings,
    "serve": ServeSettings,
    "verify": VerifySettings,
    "sign": SignSettings,
    "predict": PredictSettings,
    "evaluate": EvaluateSettings,
    "bench": BenchSettings,
    "status": StatusSettings,
    "health": HealthSettings,
    "completion": CompletionSettings,
}
NEEDED = {
    "sign": ["b", "--key", "k"],
    "compare": ["one", "two"],
    "verify": ["one"],
    "predict": ["one"],
    "completion": ["bash"],
}
"""Words without which a command is wrong usage."""
WITH_ALL = {"evaluate": ["--data", "digits"]}
"""Words beside which every flag of a command means something."""
FIELDS = [(command, name) for command, settings in SETTINGS.items() for name in settings.model_fields]
BOOLEANS = [(command, name) for command, name in FIELDS if is_switch(SETTINGS[command].model_fields[name])]


def wrong_value(command: str, name: str) -> str:
    """One that no setting of this type takes; empty where any text is one, its own rules decide, or it has no flag."""
    field = SETTINGS[command].model_fields[name]
    kinds = {field.annotation, *get_args(field.annotation)}
    return "" if {str, Path} & kinds or field.is_required() else "so-so"


WRONG = [(command, name) for command, name in FIELDS if wrong_value(command, name)]


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variables and no settings file of somebody's are read."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("VOUCH_"):
            monkeypatch.delenv(name)


def variable(command: str, name: str) -> str:
    return f"VOUCH_{SETTINGS[command].table}_{name}".upper()


def refusal(capsys: pytest.CaptureFixture[str], command: str, *words: str) -> str:
    """The one line that says what is wrong; the line below it names the help, and nothing else is written."""
    code = commands.main([command, *words])
    captured = capsys.readouterr()
    lines = captured.err.splitlines()

    assert (code, captured.out) == (2, "")
    assert len(lines) == 2
    assert lines[0].startswith(f"vouch {command}: error: ")
    assert lines[1] == f"vouch {command} --help shows the options"
    return lines[0]


def test_every_command_has_its_settings() -> None:
    """Found by its name, and with the table and variables that are said to be its own."""
    assert {name: settings_of(name) for name in COMMANDS} == SETTINGS
    assert {name: command.table for name, command in COMMANDS.items()} == {
        name: settings.table for name, settings in SETTINGS.items()
    }


@pytest.mark.parametrize("command", SETTINGS)
def test_help_shows_every_setting(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """With a sentence for each, both ways of a boolean, and where else it may be said; `vouch help` shows the same."""
    codes = [commands.main([command, "--help"]), commands.main(["help", command]), commands.main([command, "x", "-h"])]
    captured = capsys.readouterr()
    length = len(captured.out) // 3
    shown = captured.out[:length]
    words = " ".join(shown.split())

    assert (codes, captured.err) == ([0, 0, 0], "")
    assert captured.out == shown * 3
    assert shown.startswith(f"usage: vouch {command} ")
    assert max(map(len, shown.splitlines())) <= 120
    said = sentences(SETTINGS[command])
    for name, field in SETTINGS[command].model_fields.items():
        flag = flag_name(name)
        if is_switch(field):
            assert f" {flag}, --no-{flag[2:]} " in words
        elif not field.is_required():  # the others are words without a flag
            assert f" {flag} " in words
        assert said[name]
        assert "".join(said[name].split()) in "".join(words.split())
    assert f"VOUCH_{SETTINGS[command].table.upper()}_" in words
    assert f"[{SETTINGS[command].table}] in vouch.toml" in words


@pytest.mark.parametrize(("command", "name"), BOOLEANS)
def test_a_boolean_can_be_said_either_way(monkeypatch: pytest.MonkeyPatch, command: str, name: str) -> None:
    """A flag overrules variable and file, whichever it says."""
    flag, needed = flag_name(name), NEEDED.get(command, WITH_ALL.get(command, []))

    def said(*words: str) -> bool:
        value: bool = getattr(parse(SETTINGS[command], f"vouch {command}", [*needed, *words]), name)
        return value

    monkeypatch.setenv(variable(command, name), "true")
    by_variable = [said(), said(f"--no-{flag[2:]}")]
    monkeypatch.delenv(variable(command, name))
    Path("vouch.toml").write_text(f"[{SETTINGS[command].table}]\n{name} = false\n")
    by_file = [said(), said(flag)]

    assert by_variable == [True, False]
    assert by_file == [False, True]


@pytest.mark.parametrize(("command", "name"), WRONG)
def test_a_wrong_value_takes_two_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, name: str
) -> None:
    """Wherever it comes from, the line names the place, what was expected and what came; the exit code is 2."""
    flag, needed = flag_name(name), NEEDED.get(command, [])
    table = SETTINGS[command].table
    by_flag = refusal(capsys, command, *needed, f"{flag}=so-so")
    monkeypatch.setenv(variable(command, name), "so-so")
    by_variable = refusal(capsys, command, *needed)
    monkeypatch.delenv(variable(command, name))
    Path("vouch.toml").write_text(f'[{table}]\n{name} = "so-so"\n')
    by_file = refusal(capsys, command, *needed)

    assert f"error: {flag} (or " in by_flag or f"error: {flag}/--no-{flag[2:]}: takes no value" in by_flag
    assert f"error: {variable(command, name)}: expected " in by_variable
    assert f"error: vouch.toml: [{table}] {name}: expected " in by_file
    assert ", got 'so-so'" in by_variable
    assert ", got 'so-so'" in by_file


@pytest.mark.parametrize("command", SETTINGS)
def test_what_is_not_known_takes_two_lines_and_names_the_nearest(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Flags and keys of the file; a flag without its value too."""
    needed, settings = NEEDED.get(command, []), SETTINGS[command]
    fields = settings.model_fields.items()
    valued = [one for one, field in fields if not field.is_required() and not is_switch(field)]
    wrong = refusal(capsys, command, *needed, "--jsn")
    without = [refusal(capsys, command, *needed, flag_name(name)) for name in valued]
    Path("vouch.toml").write_text(f"[{settings.table}]\njson_outputs = true\n")
    key = refusal(capsys, command, *needed)

    assert "unknown option --jsn; did you mean --json?" in wrong
    assert [one.partition("error: ")[2] for one in without] == [
        f"{flag_name(name)}: expected a value" for name in valued
    ]
    assert f"vouch.toml: unknown setting json_outputs in [{settings.table}]; did you mean json_output?" in key


@pytest.mark.parametrize("command", SETTINGS)
def test_an_unknown_variable_is_a_warning(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Of every program, with the nearest known one."""
    warnings: list[str] = []
    monkeypatch.setenv(variable(command, "jsonoutput"), "true")
    parse(SETTINGS[command], f"vouch {command}", NEEDED.get(command, []), warned=warnings.append)

    assert warnings == [
        f"{variable(command, 'jsonoutput')} is not a setting and is ignored; did you mean "
        f"{variable(command, 'json_output')}?"
    ]


@pytest.mark.parametrize("command", NEEDED)
def test_a_word_that_is_needed_is_asked_for(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """In two lines as well."""
    assert " is missing" in refusal(capsys, command)


@pytest.mark.parametrize(("name", "service"), [("port", "vouch-serve"), ("metrics_port", "vouch-serve-metrics")])
def test_a_port_that_kubernetes_sets_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, service: str
) -> None:
    """A service of that name makes the variable; the message has the remedy."""
    monkeypatch.setenv(variable("serve", name), "tcp://10.0.0.1:8081")
    wrong = refusal(capsys, "serve")

    assert "expected a whole number from 0 to 65,535, got 'tcp://10.0.0.1:8081'" in wrong
    assert f"Kubernetes sets this for a service named {service}: set enableServiceLinks: false in the pod" in wrong


def test_a_setting_of_another_program_is_sent_where_it_belongs(capsys: pytest.CaptureFixture[str]) -> None:
    """`epochs` below [serve]."""
    Path("vouch.toml").write_text("[serve]\nepochs = 3\n")

    assert "vouch.toml: unknown setting epochs in [serve]; it belongs to [train]" in refusal(capsys, "serve")


def test_a_server_is_called_as_people_write_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Without its port, which is 8081 then; what is no address is wrong usage."""
    assert parse(StatusSettings, "vouch status", ["--server", "localhost"]).server == "localhost:8081"
    wrong = refusal(capsys, "status", "--server", "http://localhost:8081")
    assert wrong.endswith(", not a URL, got 'http://localhost:8081'; did you mean localhost:8081?")
