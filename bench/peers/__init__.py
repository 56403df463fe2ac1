"""The ways to keep checkpoints that ckstore is measured against, one small class each."""

from __future__ import annotations

from bench.peers.backup import Borg, Restic
from bench.peers.base import Peer
from bench.peers.blocks import BlockDedup
from bench.peers.ckstore import Ckstore
from bench.peers.files import SafeTensors, TorchSave, TorchZstd
from bench.peers.planes import Planes, XorPlanes
from bench.peers.zipnn import XorZipnn, Zipnn

_CLASSES: tuple[type[Peer], ...] = (
    TorchSave, TorchZstd, SafeTensors, BlockDedup, Planes, XorPlanes, Zipnn, XorZipnn, Restic, Borg, Ckstore,
)  # fmt: skip
PEERS = {peer.name: peer for peer in _CLASSES}
"""Name to class, in the order of the tables; ckstore last."""
