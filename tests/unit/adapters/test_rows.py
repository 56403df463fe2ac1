"""Rows that no save of ours would write."""

from __future__ import annotations

from typing import Any

import pytest

from ckstore.adapters import plain, tree
from ckstore.errors import FormatError
from ckstore.format.records import NodeRow, TensorRow, ValueRow


def value(*path: Any) -> ValueRow:
    return ValueRow(path, plain.pack(1))


def node(*path: Any, kind: str = "dict", **attrs: Any) -> NodeRow:
    return NodeRow(path, kind, attrs)


BAD: list[list[Any]] = [
    [],
    [value("a")],
    [node("a"), value("a", "b")],
    [node(), value("a"), value("a")],
    [node(), value("a", "b")],
    [node(), value("a"), value("a", "b")],
    [value(), value("a")],
    [node(), node()],
    [node(), node("a"), node("a")],
    [value("a"), node()],
    [node(kind="list", n=1), value(0), value(0)],
    [node(kind="list", n=2), value(0)],
    [node(kind="list", n=1), value("0")],
    [node(kind="list", n=1), value(True)],
    [node(kind="list", n=1), value(1)],
    [node(kind="list", n=-1)],
    [node(kind="list")],
    [node(kind="list", n="3")],
    [node(kind="set")],
    [node(kind="torch.thing")],
    [node(kind="numpy.thing")],
    [node(kind="namedtuple", n=0)],
    [node(kind="namedtuple", n=0, fields=[], **{"class": 3})],
    [node(kind="defaultdict", factory="os.system")],
    [node(kind="defaultdict", factory=["list"])],
    [node(kind="OrderedDict", metadata=b"\xc1")],
    [node(kind="OrderedDict", metadata=3)],
    [ValueRow((), b"\x91\x00\x00")],
    [node(), TensorRow(("a",), "numpy.ndarray", "int8", [1], {}, None, [])],
]


@pytest.mark.parametrize("rows", BAD, ids=str)
def test_rows_that_are_no_tree_are_format_errors(rows: list[Any]) -> None:
    with pytest.raises(FormatError):
        tree.build(rows, {})


def test_a_list_of_a_trillion_holes_is_a_format_error_and_no_memory() -> None:
    with pytest.raises(FormatError):
        tree.build([node(kind="list", n=1 << 40)], {}, partial=True)


def test_two_tensor_rows_of_one_path_are_a_format_error() -> None:
    row = TensorRow(("a",), "numpy.ndarray", "int8", [1], {}, None, [])
    with pytest.raises(FormatError, match="two rows"):
        tree.destinations([row, row])
