"""`vouch completion`."""

from collections.abc import Sequence

from vouch.cli.completion import completion_script
from vouch.cli.console import print_json
from vouch.cli.exit_codes import DONE
from vouch.cli.settings import CompletionSettings, parse

EXAMPLES = """\
Where each shell expects it:
  vouch completion bash > ~/.local/share/bash-completion/completions/vouch
  vouch completion zsh > ~/.zfunc/_vouch            with fpath+=(~/.zfunc) in ~/.zshrc, before compinit
  vouch completion fish > ~/.config/fish/completions/vouch.fish"""


def completion(arguments: Sequence[str]) -> int:
    """Prints the script; returns the exit code."""
    settings = parse(CompletionSettings, "vouch completion", arguments, EXAMPLES)
    script = completion_script(settings.shell)
    if settings.json_output:
        print_json({"shell": settings.shell, "script": script})
    else:
        print(script)
    return DONE
