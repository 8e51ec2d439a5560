"""Fills one server, as a script of another Python: ``/other/bin/python tests/predecessor/fill.py URI``."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

    from tests.predecessor.filling import fill

    print(json.dumps(fill(sys.argv[1])))


if __name__ == "__main__":
    main()
