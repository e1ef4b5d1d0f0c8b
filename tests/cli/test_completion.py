"""Completion as a person sees it: in a real shell of each kind, by pressing TAB."""

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support.programs import OURS, typing_to, until
from vouch.cli.completion import completion_script
from vouch.cli.flags import flag_name
from vouch.cli.programs import COMMANDS
from vouch.cli.settings import settings_of

TYPED = {
    "vouch tra": "vouch train ",
    "vouch train --pres": "vouch train --preset ",
    "vouch train --preset bac": "vouch train --preset backbone ",
    "vouch train --models mod": "vouch train --models models/",
    "vouch predict --top 3 pho": "vouch predict --top 3 photo.png ",
    "vouch help eva": "vouch help evaluate ",
    "vouch completion fi": "vouch completion fish ",
}
"""What is typed before TAB -> the line afterwards."""
CTRL_O = "\x0f"
SHELLS = {
    "bash": (
        "bash --noprofile --rcfile setup -i",
        r"""PS1='ready> '
. ./_vouch
bind -x '"\C-o": echo "$READLINE_LINE|" >> lines; READLINE_LINE='""",
    ),
    "zsh": (
        "zsh -d -i",
        """PS1='ready> '
fpath=($PWD $fpath)
autoload -Uz compinit
compinit -u -D
noted() { print -r -- "$BUFFER|" >> lines; BUFFER= }
zle -N noted
bindkey '^O' noted""",
    ),
    "fish": (
        "fish --no-config --init-command 'source setup' -i",
        r"""source _vouch
function fish_prompt; echo 'ready> '; end
bind \co 'echo (commandline)"|" >> lines; commandline ""'""",
    ),
}
"""Shell -> how it is started, and how it is set up: Ctrl-O notes the line in a file, and empties it."""


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_commands_options_choices_and_paths(shell: str, tmp_path: Path) -> None:
    """With the script alone: the shell has no vouch that it could start."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed; make shells installs it")
    command, setup = SHELLS[shell]
    (tmp_path / "models").mkdir()
    (tmp_path / "photo.png").touch()
    (tmp_path / "_vouch").write_text(completion_script(shell), "utf-8")
    for name in ("setup", ".zshrc"):
        (tmp_path / name).write_text(setup + "\n", "utf-8")

    assert dict(zip(TYPED, lines_after_tab(command, tmp_path), strict=True)) == TYPED


def lines_after_tab(command: str, folder: Path) -> list[str]:
    """What became of each typed line."""
    lines = folder / "lines"
    lines.touch()

    def noted(count: int) -> bool:
        return lines.read_text().count("\n") == count

    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "ZDOTDIR": str(folder), "TERM": "xterm"}
    with typing_to("sh", "-c", f"exec {command}", cwd=folder, env=environment) as (shown, typed):
        shown.until("ready> ")
        for number, begun in enumerate(TYPED, start=1):
            typed(f"{begun}\t{CTRL_O}")
            until(partial(noted, number), lambda: shown.text)
    return [line.removesuffix("|") for line in lines.read_text().splitlines()]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_has_every_command_and_option(shell: str) -> None:
    """Of all programs, whichever shell it is for."""
    script = completion_script(shell)
    fields = [field for command in COMMANDS for field in settings_of(command).model_fields.items()]
    options = {flag_name(name) for name, field in fields if not field.is_required()}
    written = {option.replace("--", "-l ") if shell == "fish" else option for option in options}

    assert [word for word in (*COMMANDS, *written) if word not in script] == []


def test_a_script_is_written_without_loading_what_trains_or_serves() -> None:
    """Shells that write it whenever they start need not wait for torch."""
    asked = (
        "import sys; from vouch.commands import main; main(['completion', 'bash']); "
        "print(*{'torch', 'onnx', 'onnxruntime', 'uvloop', 'vouch.server.supervisor'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], env=OURS, capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.splitlines()[-1] == ""
