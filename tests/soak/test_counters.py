"""The counters of soaks add up, whoever is cut off, and no seed is used twice."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.soak import counters
from tests.soak.jobs import JOBS


@pytest.fixture
def path(tmp_path):
    return tmp_path / "counters.json"


def test_counts_add_up_over_rounds(path):
    counters.add(Counter({"kills": 3, "commits": 5, "rounds": 1}), path)
    counters.add({"kills": 4}, path)
    found = counters.load(path)["counters"]
    assert (found["kills"], found["commits"], found["findings"]) == (7, 5, 0)
    assert list(found) == list(counters.ORDER)


def test_seeds_go_on_where_they_ended(path):
    assert [counters.claim("kills", path) for _ in range(3)] == [1, 2, 3]
    counters.add({"kills": 1}, path)
    assert (counters.claim("kills", path), counters.claim("fire", path)) == (4, 1)


def test_a_writer_that_is_cut_off_leaves_the_counters_as_they_were(path):
    counters.add({"kills": 3}, path)

    class CutOffError(Exception):
        pass

    def cut_off() -> None:
        with counters._changed(path) as content:
            content["counters"]["kills"] = 100
            raise CutOffError

    with pytest.raises(CutOffError):
        cut_off()
    assert json.loads(path.read_text())["counters"]["kills"] == 3


def test_the_jobs_share_all_of_the_time():
    assert sum(job.share for job in JOBS.values()) == pytest.approx(1)


def test_every_job_counts_something_that_is_quoted(fast_path, monkeypatch):
    for name in ("damaged files", "kills"):
        (fast_path / name).mkdir()
        found = JOBS[name].round_(1, fast_path / name)
        assert {what for what, n in found.items() if n} <= set(counters.ORDER)
