"""The commands of `vouch`: the program that runs each, and its table of settings. Imports nothing."""

from typing import NamedTuple


class Command(NamedTuple):
    """The facts about a command that are known before its program is loaded."""

    program: str
    """The package below `vouch` that contains it."""
    table: str
    """Its table of vouch.toml; its variables begin with VOUCH_ and this name."""
    about: str


COMMANDS = {
    "train": Command("trainer", "train", "train a classifier on labelled images and publish it as a bundle"),
    "compare": Command(
        "trainer", "compare", "compare published models, and test whether they differ by more than chance"
    ),
    "serve": Command("server", "serve", "serve a models folder over gRPC and HTTP"),
    "verify": Command("server", "serve", "check a bundle's claim without a server"),
    "sign": Command("server", "sign", "sign a bundle, or create a key"),
    "predict": Command("client", "client", "classify image files"),
    "evaluate": Command("client", "client", "show claimed and served accuracy side by side"),
    "bench": Command("client", "client", "measure throughput and latency of a server"),
    "status": Command("client", "client", "show what is served, and what was refused and why"),
    "health": Command("client", "client", "check whether a server is ready (exit code 0)"),
    "completion": Command(
        "cli", "completion", "print a script that completes commands and options in bash, zsh or fish"
    ),
}
EXTRAS = {"trainer": "vouch-onnx[trainer]", "server": "vouch-onnx[server]", "client": "vouch-onnx", "cli": "vouch-onnx"}
"""Program -> the package to install for it."""
TABLES = {command.table: command.program for command in COMMANDS.values()}
"""Table of vouch.toml -> the program whose settings it holds."""
