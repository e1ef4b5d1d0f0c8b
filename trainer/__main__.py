"""`python -m trainer` is `vouch train`: what torchrun starts several of."""

import sys

from trainer.commands import train

if __name__ == "__main__":
    sys.exit(train(sys.argv[1:]))
