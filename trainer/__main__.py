"""`python -m vouch.trainer` is `vouch train`: what torchrun starts several of."""

import os
import sys

if __name__ == "__main__":
    from vouch.cli.exit_codes import INTERRUPTED
    from vouch.trainer.commands import train  # processes that decode images import this file too, and need no torch

    try:
        code = train(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    if "WORLD_SIZE" in os.environ:
        # DistributedDataParallel leaves gloo's threads running (torch 2.13). If one of them gives back a tensor while
        # Python ends, the process aborts, and torchrun ends all others. So it ends here, with everything written.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
