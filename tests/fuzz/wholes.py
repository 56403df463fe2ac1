"""Targets of the Python fuzzers above the format: values, names, leases, references, and whole stores."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections import OrderedDict
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np

from ckstore.adapters import plain
from ckstore.format import names
from ckstore.store import leases
from tests.corrupt.damage import N_STEPS, Small, assert_state
from tests.corrupt.forge import NAME, Forger
from tests.fuzz.formats import Target
from tests.fuzz.guided import How

STORE = How(tree=True, every=8)


def plain_values(_: Small) -> Target:
    """Plain values of a state."""
    with suppress(ImportError):
        importlib.import_module("torch")  # not while an input is traced: it takes seconds

    def run(data: bytes) -> object:
        plain.unpack(data, without_torch=True)
        return plain.unpack(data)

    values: list[Any] = [
        None, 1, -(1 << 80), 1.5, "text", "\ud800", b"bytes", 1j, bytearray(b"x"), slice(1, 2), range(3),
        [1, [2, (3,)]], np.float32(1), np.int64(-1), np.dtype("<f4"), np.dtype([("a", "<i2"), ("b", "f8", (2,))]),
        np.datetime64("2020"), {"a": [1], 2: OrderedDict(b=3)},
    ]  # fmt: skip
    seeds = [plain.pack(value, dicts=True) for value in values]
    return Target(run, [*seeds, *(msgspec.msgpack.encode([tag, "device", "cpu"]) for tag in range(14))], How(tree=True))


def object_names(_: Small) -> Target:
    """Names of objects, roots and leases: what is one never leads anywhere else."""

    def run(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        names.root_number(text)
        names.epoch_of(text)
        if names.is_object_name(text):
            assert not set(text) - set("0123456789abcdef-"), text
            names.writer_of(text)

    made = [f"{NAME}3", names.root_key(7), "7-0123456789abcdef", "0" * 20, "9" * 20, "../x"]
    return Target(run, [name.encode() for name in made], How(max_len=64))


def references(small: Small) -> Target:
    """References to checkpoints."""
    store = small.opened()
    ids = [ck.id for ck in store.checkpoints()]

    def run(data: bytes) -> object:
        return store.checkpoint(data.decode("utf-8", "surrogateescape"))

    made = ["latest", "main@1", "main@latest", "main@min:loss", "main@max:loss", "tag-0", "@", "main@-1", *ids]
    return Target(run, [ref.encode() for ref in made], How(max_len=200))


def lease_files(_: Small) -> Target:
    """What a lease says."""
    fd = os.memfd_create("lease") if hasattr(os, "memfd_create") else os.open(tempfile.mkstemp()[1], os.O_RDWR)

    def run(data: bytes) -> object:
        os.ftruncate(fd, 0)
        os.pwrite(fd, data, 0)
        return leases._read_beat(fd)

    return Target(run, [msgspec.json.encode(leases._Beat("host", 1, 2, "machine")), b"{}", b'{"host":"x"}'])


def roots_of_a_store(small: Small) -> Target:
    """A whole store with another newest root: opened, listed, loaded."""
    forger = Forger(small)

    def run(data: bytes) -> object:
        with forger.store(root=data) as store:
            store.checkpoints()
            return store.load("latest")

    return Target(run, [msgspec.msgpack.encode(small.root)], STORE)


def manifests_of_a_store(small: Small) -> Target:
    """A whole store with another page of the newest manifest: loaded as NumPy arrays."""
    forger = Forger(small)

    def run(data: bytes) -> object:
        with forger.store(manifest=forger.put_manifest([data])) as store:
            return store.load("latest", framework="numpy")

    return Target(run, [forger.manifest_page()], STORE)


def closures_of_a_store(small: Small) -> Target:
    """A whole store with another page of the newest closure: what loads is what was saved."""
    forger = Forger(small)

    def run(data: bytes) -> object:
        with forger.store(closure=forger.put_closure([data])) as store:
            found = store.load("latest")
        return assert_state(found, N_STEPS - 1)

    return Target(run, [forger.closure_page()], STORE)
