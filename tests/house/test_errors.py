"""The error tree is what errors.py draws, its kinds are stable, and every error crosses a process border."""

from __future__ import annotations

import errno
import inspect
import pickle
import re

import pytest

from ckstore import errors

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.CkError)]
KINDS = {
    "CheckpointDeleted": "checkpoint_deleted",
    "CheckpointNotFound": "checkpoint_not_found",
    "CkError": "error",
    "ConflictError": "conflict",
    "CorruptError": "corrupt",
    "ForkedError": "forked",
    "FormatError": "format",
    "IntegrityError": "integrity",
    "MissingObjectError": "missing_object",
    "NotFoundError": "not_found",
    "RefMoved": "ref_moved",
    "RefNotFound": "ref_not_found",
    "StorageError": "storage",
    "StoreNotFound": "store_not_found",
    "UnsupportedError": "unsupported",
    "UsageError": "usage",
    "WriterExpired": "writer_expired",
}
_BRANCH = re.compile(r"^(?P<indent>[│ ]*)[├└]── (?P<name>\w+)(?: \(also (?P<also>\w+)\))?(?P<rest>.*)$")


def _drawn() -> dict[str, list[str]]:
    """Name -> bases, as the docstring of errors.py draws them."""
    assert errors.__doc__ is not None
    names = {c.__name__ for c in CLASSES}
    bases: dict[str, list[str]] = {"CkError": ["Exception"]}
    above = {0: "CkError"}
    for match in filter(None, map(_BRANCH.match, errors.__doc__.splitlines())):
        depth = len(match["indent"]) // 4 + 1
        bases[match["name"]] = [above[depth - 1], *([match["also"]] if match["also"] else [])]
        above[depth] = match["name"]
        for child in re.findall(r"\w+", match["rest"]):
            if child in names:
                bases[child] = [match["name"]]
    return bases


def test_the_drawn_tree_is_the_real_one() -> None:
    assert _drawn() == {c.__name__: [base.__name__ for base in c.__bases__] for c in CLASSES}


def test_kinds_are_stable() -> None:
    assert {c.__name__: c.kind for c in CLASSES} == KINDS


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_an_error_keeps_its_message_and_attributes_when_pickled(cls: type[errors.CkError]) -> None:
    again = pickle.loads(pickle.dumps(cls("it broke", object="pack/7", offset=12)))
    assert type(again) is cls
    assert str(again) == "it broke"
    assert (again.object, again.offset) == ("pack/7", 12)
    assert again.kind == cls.kind


def test_a_storage_error_keeps_its_errno_when_pickled() -> None:
    again = pickle.loads(pickle.dumps(errors.StorageError("disk full", errno.ENOSPC, path="pack/7")))
    assert (again.errno, again.path, str(again)) == (errno.ENOSPC, "pack/7", "disk full")


def test_a_lookup_error_shows_its_message_without_quotes() -> None:
    assert str(errors.RefNotFound("no checkpoint 'x'")) == "no checkpoint 'x'"
