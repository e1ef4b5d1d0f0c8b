"""`python -m vouch.trainer` is `vouch train`: what torchrun starts several of."""

import sys

if __name__ == "__main__":
    from vouch.trainer.commands import train  # processes that decode images import this file too, and need no torch

    try:
        sys.exit(train(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
