from tests.serving import serving

__all__ = ["serving"]
