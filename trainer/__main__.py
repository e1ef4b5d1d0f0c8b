"""`python -m vouch.trainer` is `vouch train`: torchrun starts several such processes."""

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
        # DistributedDataParallel leaves gloo's threads running (torch 2.13). If one of them frees a tensor while
        # Python exits, the process aborts, and torchrun ends all others. So it exits here, with everything written.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
