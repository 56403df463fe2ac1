"""An installed wheel, in an environment without torch: imports fast, and saves and loads a NumPy state."""

import importlib.util
import os
import subprocess
import sys
import tempfile

IMPORT_MS = 150
TIMES_NUMPY = 2
"""A busy machine may take the limit for NumPy alone; there the limit is this many times NumPy's own import."""

TIMED = "import sys, time; t = time.perf_counter(); {}; print((time.perf_counter() - t) * 1000)"


def milliseconds(statement: str) -> float:
    """Best of seven fresh interpreters: the least is the one that was disturbed least, and had its bytecode cached."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", TIMED.format(statement)]
    return min(float(subprocess.run(command, env=env, capture_output=True, check=True).stdout) for _ in range(7))


def round_trip() -> None:
    """Save and load one state."""
    import numpy as np

    import ckstore

    state = {"model": {"weight": np.arange(100_000, dtype=np.float32)}, "step": 7}
    with tempfile.TemporaryDirectory() as folder, ckstore.open(f"{folder}/store", create=True) as store:
        store.save(state, step=7)
        again = store.load("latest")
    if again["step"] != 7 or again["model"]["weight"].tobytes() != state["model"]["weight"].tobytes():
        sys.exit("what was loaded is not what was saved")


def main() -> None:
    """Exit with a message at the first thing that is wrong."""
    if importlib.util.find_spec("torch"):
        sys.exit("torch is installed here; this check is about its absence")
    ms, numpy_ms = milliseconds("import ckstore"), milliseconds("import numpy")
    print(f"import ckstore: {ms:.0f} ms (numpy alone: {numpy_ms:.0f} ms)")
    if ms > max(IMPORT_MS, TIMES_NUMPY * numpy_ms):
        sys.exit(f"import ckstore takes more than {IMPORT_MS} ms")
    round_trip()
    print("saved and loaded without torch")


if __name__ == "__main__":
    main()
