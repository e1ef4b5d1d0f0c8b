import json
import os
import subprocess
import sys

import pytest

from tests.support.programs import run_beside
from vouch.cli.console import exit_code, output, print_json, progress_bar, say

AWKWARD = "[bold]models[/bold] :smile: [1] \\[x] " + "long " * 50


class Wrong(Exception):
    pass


def fail(error: BaseException) -> int:
    raise error


def test_a_command_that_returns_is_done() -> None:
    """The exit code is 0, or the command's own."""
    assert exit_code(lambda: None, (Wrong,)) == 0
    assert exit_code(lambda: 0, (Wrong,)) == 0
    assert exit_code(lambda: 3, (Wrong,)) == 3


def test_an_expected_error_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    """An error whose message is meant for the user ends with it on standard error, without traceback, and code 1."""
    code = exit_code(lambda: fail(Wrong("the oven is cold")), (Wrong,))
    captured = capsys.readouterr()

    assert code == 1
    assert (captured.out, captured.err) == ("", "error: the oven is cold\n")


def test_any_other_error_keeps_its_traceback() -> None:
    """An error that nobody expected is a bug, and comes through."""
    with pytest.raises(ZeroDivisionError):
        exit_code(lambda: 1 // 0, (Wrong,))


def test_the_result_is_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON object is one line, the last of standard output, whatever is in it and whatever came before."""
    result = {"bundle": "models/ä [x]/1", "lines": "one\ntwo", "count": 3, "share": 0.5, "none": None}
    output().print("before")
    say("progress")
    print_json(result)
    captured = capsys.readouterr()

    assert captured.out.endswith("}\n")
    assert json.loads(captured.out.splitlines()[-1]) == result
    assert "ä" in captured.out
    assert captured.err == "progress\n"


def test_progress_is_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of progress is one line and as it was written, brackets and colons too."""
    say(AWKWARD)
    captured = capsys.readouterr()

    assert (captured.out, captured.err) == ("", AWKWARD + "\n")


def test_output_is_as_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    """A path or label on standard output is neither styled, replaced nor wrapped."""
    output().print(AWKWARD)

    assert capsys.readouterr().out == AWKWARD + "\n"


def test_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Where standard error is a file or a pipe, a bar writes nothing at all of what is soon done."""
    with progress_bar("fitting", 3) as show:
        for done in range(4):
            show(done)
    captured = capsys.readouterr()

    assert (captured.out, captured.err) == ("", "")


def test_a_bar_on_a_terminal() -> None:
    """On a terminal the bar shows its title and how many are done, and standard output stays free of it."""
    script = (
        "from vouch.cli.console import print_json, progress_bar\n"
        "with progress_bar('fitting', 30) as show:\n"
        "    show(30)\n"
        "print_json({'done': 30})\n"
    )
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    with run_beside(sys.executable, "-c", script, env=environment, terminal=True) as program:
        code = program.ended()

    assert code == 0
    assert "fitting" in program.err.text
    assert "30/30" in program.err.text
    assert program.out.text == '{"done": 30}\n'


def test_what_speaks_against_a_result_is_red_on_a_terminal_alone() -> None:
    """The words are the same; elsewhere they come without colours."""
    script = "from vouch.cli.console import print_caveats\nprint_caveats('warning', ['no better than [chance]'])\n"
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    command = (sys.executable, "-c", script)
    with run_beside(*command, env=environment, terminal=True, shell=">&2") as shown:
        assert shown.ended() == 0
    with run_beside(*command, env=environment) as piped:
        assert piped.ended() == 0

    assert shown.err.text == "\x1b[1;31m  warning  no better than [chance]\x1b[0m\r\n"
    assert piped.out.text == "  warning  no better than [chance]\n"


def test_a_process_that_another_speaks_for_says_nothing() -> None:
    """Neither a line of progress nor a result, whether or not something was said before."""
    script = "from vouch.cli.console import *; say('1'); be_quiet(); say('2'); output().print('3')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert (done.stdout, done.stderr) == ("", "1\n")
