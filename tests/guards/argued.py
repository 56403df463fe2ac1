"""Guards without a scenario, by their text, and why each needs none."""

from __future__ import annotations

ARGUED = {
    "        torch.save(state, handle)\n        handle.flush()\n        os.fsync(handle.fileno())": (
        "what the demo times beside ckstore: a peer that syncs too, so that the comparison is fair"
    ),
    "compress(raw.getbuffer()))\n        handle.flush()\n        os.fsync(handle.fileno())": "the same",
    'fs.remove(RESERVE)\n    fs.sync_dir("")': (
        "only gives the room back sooner on file systems that keep it until then; after a crash the reserve is there "
        "again or not, and either is legal"
    ),
    '    if is_new:\n        repo.fs.sync_dir("")': "a reserve that a crash takes back is made again by the next gc",
    "if size != ref.n_bytes:": (
        "redundant: PackReader.table_of() finds a pack that is longer or shorter by its footer, for which it asks one "
        "byte too many; this says it in plain words, and without a read"
    ),
    "return quick_hash(data, self._seed) == known.quick_hash": (
        "said of bases and companions, where those who ask are in the table; said of a chunk that did not change, it "
        "is no test of damage: it only spares the work of storing the chunk again"
    ),
    "return row.inline == data or columns.chunk_ids == blake3(data).digest()": "the same: no test of damage",
}
"""Text of the guard: the reason."""
