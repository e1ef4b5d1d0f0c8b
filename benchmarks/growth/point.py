"""One point of a curve, a process of its own: `python -m benchmarks.growth.point CURVE SIZE` prints its figures."""

import json
import sys
import tempfile
from pathlib import Path

from benchmarks.growth.curves import CURVES


def main() -> None:
    """Measures in a folder that is removed afterwards."""
    name, size = sys.argv[1], int(sys.argv[2])
    curve = next(curve for curve in CURVES if curve.name == name)
    with tempfile.TemporaryDirectory() as folder:
        figures = curve.point(size, Path(folder))
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
