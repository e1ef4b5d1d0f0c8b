"""What all tests share."""

import os
import signal

from hypothesis import settings

# Small computations, several processes at once: more threads would only wait for each other. What tests start
# inherits it. Before anything imports torch or numpy's BLAS.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where a test asks for more they sleep while they wait, as in `vouch train`.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell starts what it puts behind `&` without Ctrl-C, and children inherit that; tests send it to theirs.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No time limit an example: the machines that run this are shared, and a slow second is no bug.
settings.register_profile("vouch", deadline=None)
settings.load_profile("vouch")
