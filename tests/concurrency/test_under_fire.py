"""200 commits by four savers beside two readers, two collectors and an expirer, all of them killed and stopped."""

from __future__ import annotations

import os
import random

from tests.support.fire import under_fire

SEED = int(os.environ.get("CKSTORE_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
COMMITS = 200


def test_under_fire_nothing_is_lost_wrong_or_stray(fast_path):
    print(f"seed {SEED}")
    counts = under_fire(str(fast_path / "store"), COMMITS, SEED)
    print(dict(counts))
    assert counts["commits"] >= COMMITS
    assert min(counts[what] for what in ("kills", "stops", "gc runs", "reads")) > 0
