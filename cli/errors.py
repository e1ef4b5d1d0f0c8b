"""Errors in a command's settings."""


class WrongUsage(Exception):
    """Flags, variables or vouch.toml cannot be used. One line per mistake, for the user."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
