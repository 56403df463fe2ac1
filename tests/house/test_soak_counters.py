"""README quotes what the soaks have done as their counters say it."""

from __future__ import annotations

import json

from house.files import ROOT

COUNTERS = ROOT / "tests/soak/counters.json"


def test_readme_quotes_the_counters() -> None:
    counters = json.loads(COUNTERS.read_text(encoding="utf-8"))["counters"]
    quoted = ", ".join(f"{n:,} {name}" for name, n in counters.items())
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert quoted in text, f"README should say: {quoted}"
    assert counters["findings"] == 0
