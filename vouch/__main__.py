"""`python -m vouch` is the `vouch` command."""

import sys

from vouch.commands import main

if __name__ == "__main__":
    sys.exit(main())
