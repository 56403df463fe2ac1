"""SIGKILL at random moments: what was acknowledged stays, and the next gc leaves no stray byte."""

from __future__ import annotations

import os
import random

from tests.crash.kills import kill_often

SEED = int(os.environ.get("CKSTORE_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
KILLS = int(os.environ.get("CKSTORE_KILLS", "30"))


def test_a_process_killed_at_random_moments_loses_nothing_that_was_acknowledged(fast_path):
    print(f"seed {SEED}")
    counts = kill_often(str(fast_path / "store"), KILLS, SEED)
    assert counts["kills"] == KILLS
    assert counts["commits"] > KILLS
