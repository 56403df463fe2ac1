from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import ml_dtypes
import numpy as np
import pytest

import ckstore
from ckstore.cli import export_formats
from ckstore.errors import UsageError


def _state(path: str, ref: str = "main@40") -> dict:
    with ckstore.open(path, readonly=True) as store:
        return store.load(ref)


def test_export_to_safetensors_keeps_every_bit(cli, path: str, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    file = tmp_path / "out.safetensors"
    result = cli("export", path, "main@40", file)
    assert result.exit_code == 0, result.stderr
    assert "left out, not arrays: step, note" in result.stderr
    model = _state(path)["model"]
    with safetensors.safe_open(file, "np") as opened:
        assert set(opened.keys()) == {"model.weight", "model.half", "mask"}
        assert opened.get_tensor("model.weight").tobytes() == model["weight"].tobytes()
        assert opened.get_slice("model.half").get_dtype() == "BF16"
        assert opened.metadata()["format"] == "pt"


def test_export_writes_columns_in_the_order_of_rows(cli, path: str, tmp_path: Path) -> None:
    load_file = pytest.importorskip("safetensors.numpy").load_file
    cli("export", path, "other/run@1", tmp_path / "out.safetensors")
    columns = _state(path, "other/run@1")["columns"]
    assert not columns.flags.c_contiguous
    np.testing.assert_array_equal(load_file(tmp_path / "out.safetensors")["columns"], columns)


def test_export_to_npz_is_read_by_numpy_without_pickle(cli, path: str, tmp_path: Path) -> None:
    file = tmp_path / "out.npz"
    arguments = ["--select", "model.weight", "--select", "mask", "--strip-prefix", "model.", "--json"]
    record = json.loads(cli("export", path, "main@40", file, *arguments).stdout)
    assert (record["format"], record["n_arrays"], record["left_out"]) == ("npz", 2, [])
    assert record["file_bytes"] == file.stat().st_size
    with np.load(file) as loaded:
        assert set(loaded) == {"weight", "mask"}
        assert loaded["weight"].tobytes() == _state(path)["model"]["weight"].tobytes()


def test_export_of_bfloat16_to_npz_is_refused_by_name(cli, path: str, tmp_path: Path) -> None:
    result = cli("export", path, "main@40", tmp_path / "out.npz")
    assert result.exit_code == 2
    assert "model.half (bfloat16)" in result.stderr
    assert list(tmp_path.glob("*out*")) == []


def test_export_to_a_torch_file_keeps_the_tree(cli, path: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    file = tmp_path / "weights.bin"
    result = cli("export", path, "main@40", file, "--to", "torch")
    assert (result.exit_code, result.stderr) == (0, "")
    loaded, saved = torch.load(file), _state(path)
    assert (loaded["step"], loaded["note"]) == (40, "a value")
    assert loaded["model"]["half"].dtype == torch.bfloat16
    assert loaded["model"]["weight"].numpy().tobytes() == saved["model"]["weight"].tobytes()


def test_export_does_not_replace_a_file_unless_told(cli, path: str, tmp_path: Path) -> None:
    file = tmp_path / "out.npz"
    file.write_text("precious")
    result = cli("export", path, "latest", file)
    assert result.exit_code == 4
    assert "give --overwrite" in result.stderr
    assert file.read_text() == "precious"
    assert cli("export", path, "latest", file, "--overwrite").exit_code == 0
    assert set(np.load(file)) == {"noise", "columns"}


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["main@40", "out.foo"], 2, "names no format"),
        (["main@40", "out.pt", "--strip-prefix", "model."], 2, "a torch file keeps the tree"),
        (["main@40", "no/such/dir/out.npz"], 3, "no/such/dir is not a directory"),
        (["main@99", "out.npz"], 3, "main@99"),
        (["main@40", "out.npz", "--select", "nothing"], 3, "nothing"),
        (["main@40", "out.npz", "--select", "step"], 3, "nothing to export: no array matches"),
    ],
)
def test_export_says_what_it_cannot_do(
    cli, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli("export", path, *arguments)
    assert (result.exit_code, complaint in result.stderr) == (code, True), result.stderr
    assert list(tmp_path.glob("*out*")) == []


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    cli, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    result = cli("export", path, "main@40", tmp_path / "out.safetensors")
    assert result.exit_code == 5
    assert "pip install safetensors" in result.stderr


def test_two_arrays_of_one_dotted_name_are_refused() -> None:
    with pytest.raises(UsageError, match=r"'a\.b'"):
        export_formats.flattened({"a": {"b": np.zeros(1)}, "a.b": np.ones(1)})


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a\\b", "a\0b", "a//b", "."])
def test_a_name_that_could_leave_the_folder_is_no_archive_entry(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a file"):
        export_formats._entry_name(name)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn, ml_dtypes.int4])
def test_npz_cannot_hold_what_numpy_does_not_know(dtype: type) -> None:
    assert not export_formats._npy_can_hold(np.dtype(dtype))


@pytest.mark.parametrize("dtype", ["f4", ">i8", "c16", "?", "M8[ns]", "S3", "U4", [("a", "f4"), ("b", "i2", (3,))]])
def test_npz_holds_every_dtype_of_numpy_itself(dtype: object) -> None:
    assert export_formats._npy_can_hold(np.dtype(dtype))


def test_a_masked_array_is_refused_because_its_mask_would_be_lost() -> None:
    with pytest.raises(UsageError, match="masked"):
        export_formats.flattened({"m": np.ma.masked_array([1.0, 2.0], [True, False])})


def test_a_flat_export_needs_none_of_the_classes_in_the_state(
    cli, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = ModuleType("mine")
    exec(
        "import collections, enum\nMoments = collections.namedtuple('Moments', 'mu nu')\n"
        "class Phase(enum.Enum):\n    WARM = 1\n",
        vars(mine),
    )
    with ckstore.open(path) as store, monkeypatch.context() as patched:
        patched.setitem(sys.modules, "mine", mine)
        moments = mine.Moments(np.arange(3.0), np.ones(2))
        log = [mine.Phase.WARM] * 5000
        store.save({"a": np.arange(4), "moments": moments, "phase": mine.Phase.WARM, "log": log}, run="mine")
    record = json.loads(cli("export", path, "mine@0", tmp_path / "out.npz", "--json").stdout)
    assert record["left_out"] == ["phase", "log"]
    with np.load(tmp_path / "out.npz") as loaded:
        assert sorted(loaded) == ["a", "moments.0", "moments.1"]
    torch_file = cli("export", path, "mine@0", tmp_path / "out.pt")
    assert torch_file.exit_code == 2
    assert "import its module first, in Python" in torch_file.stderr
