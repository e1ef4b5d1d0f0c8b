"""`python -m vouch.server serve|verify`, which is how the server starts its probe."""

import sys

from vouch.cli.loading import loading

with loading():
    from vouch.server import commands

if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    sys.exit({"serve": commands.serve, "verify": commands.verify}[command](arguments))
