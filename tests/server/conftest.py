from tests.serving import serving, start

__all__ = ["serving", "start"]
