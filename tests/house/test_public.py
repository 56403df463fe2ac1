"""The public face: names, arguments and defaults that other people's code relies on."""

from __future__ import annotations

import inspect
import json
import tomllib
from typing import Any

import numpy as np
import pytest

import ckstore
from ckstore import errors
from house.files import ROOT

PUBLIC = {"Checkpoint", "DamageWarning", "Keep", "Store", "open", "repair"} | {
    name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, errors.CkError)
}
ANY = object()
"""A default that the documents leave open."""

ARGUMENTS: dict[str, dict[str, Any]] = {
    "load": {
        "select": None,
        "into": None,
        "framework": None,
        "device": None,
        "verify": ANY,
        "allow_pickle": False,
        "partial": False,
    },
    "save": {
        "step": ANY,
        "run": ANY,
        "metrics": None,
        "tags": ANY,
        "meta": None,
        "parent": "auto",
        "allow_pickle": False,
        "level": None,
    },
    "checkpoints": {"run": None},
    "checkpoint": {"ref": inspect.Parameter.empty},
    "tag": {"ref": inspect.Parameter.empty, "name": inspect.Parameter.empty, "move": False},
    "untag": {"name": inspect.Parameter.empty},
    "annotate": {"ref": inspect.Parameter.empty, "metrics": None, "meta": None},
    "delete": {"ref": inspect.Parameter.empty},
    "thin": {"ref": inspect.Parameter.empty, "drop": inspect.Parameter.empty},
    "keep": {"policy": inspect.Parameter.empty, "dry_run": False},
    "gc": {"dry_run": False, "grace_s": 60},
    "verify": {"level": ANY},
    "repair": {"dry_run": True},
    "stats": {},
    "close": {},
}
CHECKPOINT = ["id", "ref", "run", "step", "time", "metrics", "tags", "logical_bytes", "stored_bytes"]


def _small_state() -> dict[str, Any]:
    return {"model": {"weight": np.arange(2000, dtype=np.float32)}, "step": 3}


def test_the_public_names_are_these() -> None:
    assert set(ckstore.__all__) == PUBLIC
    assert all(hasattr(ckstore, name) for name in ckstore.__all__)


def test_the_version_is_one_and_has_an_entry_in_the_changelog() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == ckstore.__version__
    assert f"## {ckstore.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_open_takes_the_documented_arguments() -> None:
    parameters = inspect.signature(ckstore.open).parameters
    assert parameters["create"].default is False
    assert parameters["readonly"].default is False


@pytest.mark.parametrize("verb", ARGUMENTS)
def test_a_verb_takes_the_documented_arguments(verb: str) -> None:
    parameters = inspect.signature(getattr(ckstore.Store, verb)).parameters
    for name, default in ARGUMENTS[verb].items():
        assert name in parameters, f"{verb}({name}=)"
        assert default is ANY or parameters[name].default == default, f"{verb}({name}={parameters[name].default})"


@pytest.mark.parametrize("verb", ARGUMENTS)
def test_a_verb_is_documented(verb: str) -> None:
    assert inspect.getdoc(getattr(ckstore.Store, verb))


def test_a_checkpoint_has_the_documented_attributes(store_path: str) -> None:
    with ckstore.open(store_path, create=True) as store:
        checkpoint = store.save(_small_state(), step=3, run="main", metrics={"loss": 2.5}, tags=["good"])
        assert [name for name in CHECKPOINT if not hasattr(checkpoint, name)] == []
        assert (checkpoint.run, checkpoint.step, dict(checkpoint.metrics)) == ("main", 3, {"loss": 2.5})
        assert list(checkpoint.tags) == ["good"]


@pytest.mark.parametrize("verb", ["gc", "verify", "stats", "repair"])
def test_a_report_is_frozen_and_becomes_json(verb: str, store_path: str) -> None:
    with ckstore.open(store_path, create=True) as store:
        store.save(_small_state(), step=3)
        report = getattr(store, verb)()
    assert isinstance(json.loads(json.dumps(report.to_dict())), dict)
    with pytest.raises((AttributeError, TypeError)):
        report.to_dict = None


def test_the_torch_drop_in_has_the_names_of_torch() -> None:
    torch = pytest.importorskip("torch")
    import ckstore.torch as drop_in

    ours, theirs = inspect.signature(drop_in.save).parameters, inspect.signature(torch.save).parameters
    assert list(ours)[:2] == list(theirs)[:2] == ["obj", "f"]
    ours = inspect.signature(drop_in.load).parameters
    assert {"f", "map_location"} <= set(ours)


def test_the_numpy_drop_in_has_the_names_of_numpy() -> None:
    import ckstore.numpy as drop_in

    for name in ("save", "savez"):
        ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (drop_in, np))
        needed = [p for p in theirs.values() if p.default is inspect.Parameter.empty]
        assert [(p.name, p.kind) for p in needed] == [(ours[p.name].name, ours[p.name].kind) for p in needed]
        assert ours["allow_pickle"].default is False
    ours = inspect.signature(drop_in.load).parameters
    assert next(iter(ours)) == "file"
    assert ours["allow_pickle"].default is False
