from __future__ import annotations

import pytest

from ckstore.cli import quantity
from ckstore.errors import UsageError


@pytest.mark.parametrize(
    ("written", "n_bytes"),
    [
        ("0", 0), ("17", 17), ("17B", 17), ("1k", 1024), ("1.5KiB", 1536), ("2 MiB", 2 << 20), ("20GiB", 20 << 30),
        ("20g", 20 << 30), ("1TB", 10**12), ("0.5PiB", 1 << 49), ("3kb", 3000),
    ],
)  # fmt: skip
def test_a_size(written: str, n_bytes: int) -> None:
    assert quantity.size(written) == n_bytes


@pytest.mark.parametrize(("written", "n"), [("90s", 90), ("5m", 300), ("12h", 43200), ("7d", 604800), ("1.5W", 907200)])
def test_a_duration(written: str, n: float) -> None:
    assert quantity.seconds(written) == n


@pytest.mark.parametrize("written", ["", "GiB", "-1", "1e3", "20 gigabytes", "1,5G", "١", "20GiB!", "7d"])
def test_what_is_no_size(written: str) -> None:
    with pytest.raises(UsageError, match="is not a size, such as 20GiB"):
        quantity.size(written)


@pytest.mark.parametrize("written", ["7", "", "d", "7 days", "-1d", "nan", "infs"])
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(UsageError, match="is not a duration with its unit"):
        quantity.seconds(written)


@pytest.mark.parametrize(
    ("written", "rule"),
    [("loss:min:3", ("loss", "min", 3)), ("val:acc:max:1", ("val:acc", "max", 1)), ("a b:min:10", ("a b", "min", 10))],
)
def test_a_rule_of_the_best(written: str, rule: tuple[str, str, int]) -> None:
    assert quantity.best(written) == rule


@pytest.mark.parametrize(
    "written", ["loss", "loss:min", "loss:3", "loss:least:3", ":min:3", "loss:min:", "loss:min:-1", "loss:max:x"]
)
def test_what_is_no_rule_of_the_best(written: str) -> None:
    with pytest.raises(UsageError, match="is not METRIC:min:N"):
        quantity.best(written)


@pytest.mark.parametrize("written", ["9" * 400, "9" * 400 + "PiB", "8192PiB", "1" * 20 + "." + "1" * 5000])
def test_a_size_that_nothing_has(written: str) -> None:
    with pytest.raises(UsageError, match=r"is more than can be meant") as caught:
        quantity.size(written)
    assert len(str(caught.value)) < 300


def test_a_duration_that_nothing_takes() -> None:
    with pytest.raises(UsageError, match=r"is more than can be meant"):
        quantity.seconds("9" * 400 + "w")


@pytest.mark.parametrize("n", ["9" * 5000, "9" * 19, "\u0661"])
def test_more_of_the_best_than_can_be_meant(n: str) -> None:
    with pytest.raises(UsageError, match="is not METRIC:min:N") as caught:
        quantity.best(f"loss:min:{n}")
    assert len(str(caught.value)) < 300
