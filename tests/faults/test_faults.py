"""Whatever call is refused: the error names the file, nothing is acknowledged falsely, the store stays whole."""

from __future__ import annotations

import errno

import pytest

from tests.faults.sweep import VERBS, made, sweep
from tests.support.faults import Fault
from tests.support.recording import Image

CODES = {
    "save": (errno.EIO, errno.ENOSPC, errno.EMFILE),
    "first save of a run": (errno.EIO, errno.ENOSPC),
    "delete": (errno.EIO, errno.ENOSPC),
    "tag": (errno.EIO, errno.ENOSPC),
    "thin": (errno.EIO, errno.ENOSPC),
    "gc": (errno.EIO, errno.ENOSPC),
    "archive": (errno.EIO, errno.ENOSPC),
    "load": (errno.EIO, errno.ENOSPC, errno.EMFILE),
}
"""What the default suite tries; the soak tries everything on everything."""

WRITING = [name for name in VERBS if name != "load"]


@pytest.fixture
def before(fast_path, monkeypatch) -> Image:
    monkeypatch.setenv("CKSTORE_THREADS", "1")
    return made(fast_path / "first")


@pytest.mark.parametrize("sticky", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param(name, code, id=f"{name}, {errno.errorcode[code]}")
        for name, codes in CODES.items()
        for code in codes
    ],
)
def test_any_call_refused(name, code, sticky, before, fast_path):
    n = sweep(before, fast_path / "store", name, Fault(code, 0, sticky))
    if (name, code) == ("load", errno.ENOSPC):
        assert n == 0, "a load writes nothing"
    else:
        assert n >= 4


@pytest.mark.parametrize("name", ["save", "delete", "gc", "archive", "thin"])
def test_any_call_made_whose_answer_is_lost(name, before, fast_path):
    assert sweep(before, fast_path / "store", name, Fault(errno.EIO, 0, after=True)) > 10


@pytest.mark.parametrize("sticky", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("name", WRITING)
def test_any_write_cut_short_is_gone_on_with(name, sticky, before, fast_path):
    assert sweep(before, fast_path / "store", name, Fault(0, 0, sticky, short=True)) >= 2


@pytest.mark.parametrize("name", WRITING)
def test_any_write_cut_short_by_a_disk_that_is_full_from_then_on(name, before, fast_path):
    assert sweep(before, fast_path / "store", name, Fault(errno.ENOSPC, 0, short=True)) >= 2
