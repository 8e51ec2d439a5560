"""Prints which test of the conformance suite holds on which backend.

python -m tests.storage.conformance_table
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.storage.conformance import StoreTests

_MARKS = {"passed": "yes", "failed": "NO", "skipped": "skipped"}


class _Results:
    """Takes down what became of each test of the suite; an instance is a plugin of pytest."""

    def __init__(self) -> None:
        self._class_of: dict[str, tuple[str, str]] = {}
        self.weaker: set[tuple[str, str]] = set()
        """Test and backend where no single winner is asked for, as the backend cannot promise one."""
        self.outcomes: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        """Test -> backend -> what became of its cases."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        wanted = []
        for item in items:
            function = getattr(item, "originalname", item.name)
            if isinstance(item, pytest.Function) and item.cls and hasattr(StoreTests, function):
                place = (function.removeprefix("test_"), item.cls.__name__.removeprefix("Test"))
                self._class_of[item.nodeid] = place
                if "one_winner" in function and not item.cls.exclusive_create:
                    self.weaker.add(place)
                wanted.append(item)
        items[:] = wanted

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            test, backend = self._class_of[report.nodeid]
            self.outcomes[test][backend].add(report.outcome)


def main() -> int:
    """Run the suite on every backend and print the table; the exit code is that of pytest."""
    results = _Results()
    code = pytest.main(["-q", "-q", "--no-header", "--no-summary", str(Path(__file__).parent)], plugins=[results])
    backends = sorted({backend for row in results.outcomes.values() for backend in row})
    print("\n| | " + " | ".join(backends) + " |")
    print("|---|" + "---|" * len(backends))
    for test, row in results.outcomes.items():
        cells = (
            (", ".join(sorted(_MARKS[outcome] for outcome in row[backend])) or "-")
            + (" (at least one)" if (test, backend) in results.weaker else "")
            for backend in backends
        )
        print(f"| {test.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
