"""What can be wrong with what a command was given."""


class WrongUsage(Exception):
    """Flags, variables or vouch.toml cannot be used; one line for each thing that is wrong, meant for the user."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
