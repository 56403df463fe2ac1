"""Makes the golden store once; refuses to touch one that is there. Run from the repository root:

    python -m tests.golden.v1.regenerate

store/ is a store as this version writes it, expected.json what is in it: every file and every leaf with its BLAKE3.
Stores of a released version stay readable for ever, so neither is ever changed; a new version gets a new folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import ckstore
from ckstore.engine.gc import trim
from tests.golden.v1.content import CHUNK, N_TINY, describe, digest, numpy_state, torch_state

HERE = Path(__file__).parent
STORE, EXPECTED = HERE / "store", HERE / "expected.json"
MAX_BYTES = 300_000


def fill(store: ckstore.Store) -> None:
    """Three runs: tiny checkpoints enough for pages of the catalog, NumPy states and torch states with deltas."""
    for step in range(N_TINY):
        store.save({"step": step}, run="tiny", step=step, parent=None)
    for step in range(4):
        store.save(numpy_state(step), run="numpy", step=step, metrics={"loss": 2.0 - step / 8}, tags=[f"numpy-{step}"])
    for step in range(3):
        store.save(torch_state(step), run="torch/a", step=step, meta={"seed": 5, "notes": ["a", None, 1.5]})
    store.save(numpy_state(2), run="fork", step=9, parent="numpy-1")
    store.tag("torch/a@0", "first")
    store.annotate("numpy@3", metrics={"acc": 0.5})
    store.delete("tiny@7")
    store.delete("torch/a@1")


def expected(store: ckstore.Store) -> dict[str, Any]:
    """What is in a store: its catalog, and every leaf of every checkpoint."""
    checkpoints = []
    for ck in store.checkpoints():
        about = {name: value for name, value in ck.to_dict().items() if name != "time"}
        checkpoints.append(about | {"leaves": [list(leaf) for leaf in describe(store.load(ck))]})
    return {"checkpoints": checkpoints, "files": files()}


def files() -> dict[str, str]:
    """Every file of the golden store."""
    found = sorted(path for path in STORE.rglob("*") if path.is_file())
    return {path.relative_to(STORE).as_posix(): digest(path.read_bytes()) for path in found}


def check(store: ckstore.Store) -> None:
    """The store shows all there is to show."""
    used = {codec for ck in store.checkpoints() for leaf in store.leaves(ck) for codec in leaf.codecs}
    size = sum(path.stat().st_size for path in STORE.rglob("*"))
    root = store._session.repo.root()
    print(f"{size} bytes, {len(files())} files, codecs {sorted(used)}")
    assert used == {"raw", "fill", "planes", "delta_int", "delta_xor", "round", "inline"}
    assert size < MAX_BYTES
    assert root.catalog
    assert root.trimmed_to > 0
    assert store.verify("data").ok


def main() -> None:
    if STORE.exists() or EXPECTED.exists():
        sys.exit(f"{STORE} is there: golden stores are never made again")
    trim.KEEP_ROOTS, trim.KEEP_ROOTS_S = 3, 0.0  # a store of a few files
    with ckstore.open(STORE, create=True, chunk_elements=CHUNK) as store:
        fill(store)
        store.gc(grace_s=0)
        store.tag("numpy@0", "last-change")
        check(store)
        EXPECTED.write_text(json.dumps(expected(store), indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
