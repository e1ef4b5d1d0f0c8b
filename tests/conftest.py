"""What all tests share."""

from hypothesis import settings

# No time limit an example: the machines that run this are shared, and a slow second is no bug.
settings.register_profile("vouch", deadline=None)
settings.load_profile("vouch")
