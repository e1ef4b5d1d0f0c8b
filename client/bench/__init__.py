"""`vouch bench`: how much a server answers, how fast, and which setting a caller does best with.

load           calls in a closed and an open loop, and what came of them
points         what was measured, as values
images         which images are sent, and what each was answered alone
calls          the calls themselves: requests made beforehand, every answer checked
measure        the steps in order
recommend      the best setting among those measured
report, plot   tables and JSON; a picture
"""
