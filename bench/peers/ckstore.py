"""ckstore as one more peer, through its public face only."""

from __future__ import annotations

import copy
from typing import Any

import ckstore
from bench import states
from bench.peers.base import Peer
from bench.workloads.common import Checkpoint


class Ckstore(Peer):
    """One store for all runs of a workload. Each load opens the store anew, so that no base is left from the last."""

    name = "ckstore"
    _store: Any = None

    def save(self, item: Checkpoint, number: int) -> None:
        if self._store is None:
            self._store = ckstore.open(self.folder, create=True)
        self._store.save(item.state, step=item.step, run=item.run, parent=item.parent)

    def load(self, number: int) -> Any:
        with ckstore.open(self.folder) as store:
            return store.load(store.checkpoints()[number].id)

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def load_otherwise(self, number: int, state: Any) -> str | None:
        """Load checkpoint `number` by select=, by into= and as NumPy arrays; the first difference from `state`."""
        with ckstore.open(self.folder) as store:
            reference = store.checkpoints()[number].id
            part = store.load(reference, select=["model.*"])
            target = copy.deepcopy(state)
            for entry in states.named_tensors(target):
                entry.tensor.detach().zero_()
            whole = store.load(reference, into=target)
            arrays = store.load(reference, framework="numpy")
        return (
            states.first_difference(part, {"model": state["model"]})
            or states.first_difference(whole, state)
            or states.first_difference_of_arrays(arrays, state)
        )
