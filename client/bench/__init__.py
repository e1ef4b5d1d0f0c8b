"""`vouch bench`: a server's throughput and latency, and the best setting for a caller.

load           calls in a closed and an open loop, and their results
points         the measured points, as values
images         the images that are sent, and the reference answer to each
calls          the calls: requests are made beforehand, and every answer is checked
measure        the steps in order
recommend      the best of the measured settings
report, plot   tables and JSON; a picture
"""
