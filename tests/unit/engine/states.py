"""Small states for engine tests: big enough for several chunks at chunk_elements=1024."""

from __future__ import annotations

import ml_dtypes
import numpy as np

CHUNK = 1024


def drifting(step: int, seed: int = 0, n: int = 5000) -> dict[str, np.ndarray]:
    """A float32 tensor that moves a little every step, one that never moves, and a small one."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=n).astype("f4")
    return {
        "weight": weight * np.float32(1 + 1e-4 * step),
        "frozen": rng.normal(size=n).astype("f4"),
        "bias": np.full(7, step, "f4"),
    }


def mixed(step: int) -> dict[str, np.ndarray]:
    """A float32 master and its bfloat16 rounding."""
    master = drifting(step)["weight"]
    return {"model": master.astype(ml_dtypes.bfloat16), "master": master}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Equal keys, types, dtypes and bytes."""
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert type(found[key]) is type(value), key
        assert found[key].dtype == value.dtype, key
        assert found[key].shape == value.shape, key
        assert found[key].tobytes() == value.tobytes(), key
