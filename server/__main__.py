"""`python -m server serve|verify`, which is how the server starts its probe."""

import sys

from cli.loading import loading

with loading():
    from server import commands

if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    sys.exit({"serve": commands.serve, "verify": commands.verify}[command](arguments))
