"""The commands of `vouch` by name: which program runs each, and where its settings are. Imports nothing."""

from typing import NamedTuple


class Command(NamedTuple):
    """What is known of a command before anything of it is loaded."""

    program: str
    """The package below `vouch` that has it."""
    table: str
    """Of vouch.toml; its variables begin with VOUCH_ and this name."""
    about: str


COMMANDS = {
    "train": Command("trainer", "train", "fit a classifier to labelled images and publish it as a bundle"),
    "compare": Command(
        "trainer", "compare", "published models side by side, and whether chance explains the difference"
    ),
    "serve": Command("server", "serve", "serve a models folder over gRPC"),
    "verify": Command("server", "serve", "recount a bundle's claim offline"),
    "sign": Command("server", "sign", "sign a bundle, or make a key for it"),
    "predict": Command("client", "client", "classify image files"),
    "evaluate": Command("client", "client", "claim and served accuracy side by side"),
    "bench": Command("client", "client", "how fast a server answers, and how best to call it"),
    "status": Command("client", "client", "what is served, and what was refused"),
    "health": Command("client", "client", "whether a server is ready, as an exit code"),
    "completion": Command("cli", "completion", "print a script that completes all this in bash, zsh or fish"),
}
EXTRAS = {"trainer": "vouch-onnx[trainer]", "server": "vouch-onnx[server]", "client": "vouch-onnx", "cli": "vouch-onnx"}
"""Program -> what is to be installed for it."""
TABLES = {command.table: command.program for command in COMMANDS.values()}
"""Table of vouch.toml -> the program whose settings it holds."""
