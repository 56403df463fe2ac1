"""predict: what an optimiser's step makes of its bases, in binary32, the same bits from every variant."""

from __future__ import annotations

import numpy as np
import pytest

from ckstore._native import kernels
from kernels.data import OFFSETS, SIZES, Bytes, at_offset, elements
from tests.support import kernel_model
from tests.support.kernel_model import ADAM, BFLOAT16, FLOAT16, FLOAT32, LINEAR, SECOND, SIZE

torch = pytest.importorskip("torch")

HOW = {
    "copy": (LINEAR, 1, (1.0,), False),
    "scaled": (LINEAR, 1, (0.1,), False),
    "two": (LINEAR, 2, (0.999, -1e-3), False),
    "four": (LINEAR, 4, (1.1, -0.3, 3e38, 1e-40), False),
    "adam": (ADAM, 3, (0.9999, -3e-4, 0.0, 0.7, 1e-8), False),
    "adam of two": (ADAM, 4, (0.9999, -3e-4, 1e-4, 0.7, 1e-8), False),
    "adam masked": (ADAM, 4, (0.9999, -3e-4, 1e-4, 0.7, 1e-8), True),
    "second": (SECOND, 3, (0.95, 0.05, 0.1), False),
    "second masked": (SECOND, 3, (0.95, 0.05, 0.1), True),
}
"""Kind, number of bases, coefficients, masked."""
DTYPES = [(FLOAT32,) * 4, (BFLOAT16,) * 4, (FLOAT16,) * 4, (BFLOAT16, FLOAT32, FLOAT32, FLOAT16)]


def _base(dtype: int, n: int, seed: int, likely: bool) -> Bytes:
    """Numbers as training has them, or anything; quiet NaNs alone among halves, which NumPy would make quiet."""
    if likely and n:
        values = torch.from_numpy(
            np.random.default_rng([n, seed]).normal(size=n) ** (1 + seed // 2) * 10.0 ** -(1 + seed)
        )
        kinds = {FLOAT32: torch.float32, BFLOAT16: torch.bfloat16, FLOAT16: torch.float16}
        found: Bytes = values.to(kinds[dtype]).view(torch.uint8).numpy()
        return found
    data = elements(SIZE[dtype], n, seed)
    if dtype == FLOAT16:
        halves = data.view("<u2")
        halves[(halves & 0x7FFF) > 0x7C00] |= 0x200
    return data


def _bases(name: str, dtypes: tuple[int, ...], n: int, likely: bool) -> list[Bytes]:
    """Some elements of the last base are those of the second, where both have one dtype."""
    bases = [_base(dtype, n, seed, likely) for seed, dtype in enumerate(dtypes[: HOW[name][1]])]
    if len(bases) > 2 and dtypes[1] == dtypes[len(bases) - 1]:
        same = np.repeat(np.arange(n) % 3 == 0, SIZE[dtypes[1]])
        bases[-1] = np.where(same, bases[1], bases[-1])
    return bases


def _predict(
    variant: str, name: str, bases: list[Bytes], dtypes: tuple[int, ...], out_dtype: int, at: int = 0
) -> bytes:
    kernels.select(variant)
    kind, count, coefficients, masked = HOW[name]
    n = len(bases[0]) // SIZE[dtypes[0]]
    out = at_offset(np.full(n * SIZE[out_dtype], 0xAA, np.uint8), at)
    kernels.predict(kind, bases, dtypes[:count], coefficients, masked, out_dtype, out)
    return out.tobytes()


@pytest.mark.parametrize("name", HOW)
@pytest.mark.parametrize("dtypes", DTYPES)
@pytest.mark.parametrize("out_dtype", [FLOAT32, BFLOAT16, FLOAT16])
def test_a_prediction_is_what_the_model_says(
    kernel_variant: str, name: str, dtypes: tuple[int, ...], out_dtype: int
) -> None:
    kind, count, coefficients, masked = HOW[name]
    for likely in (True, False):
        bases = _bases(name, dtypes, 5003, likely)
        normal = [c if abs(c) >= 2**-126 else 0.0 for c in coefficients]
        expected = kernel_model.predict(kind, bases, dtypes[:count], normal, masked, out_dtype)
        assert _predict(kernel_variant, name, bases, dtypes, out_dtype) == expected


@pytest.mark.parametrize("name", HOW)
def test_every_variant_predicts_alike_at_any_size_and_address(kernel_variant: str, name: str) -> None:
    for number, n in enumerate(SIZES):
        dtypes, out_dtype = DTYPES[number % 4], number % 3
        bases = _bases(name, dtypes, n, number % 2 == 0)
        moved = [at_offset(base, OFFSETS[(number * 7 + i) % 64]) for i, base in enumerate(bases)]
        found = _predict(kernel_variant, name, moved, dtypes, out_dtype, OFFSETS[number * 3 % 64])
        assert found == _predict("scalar", name, bases, dtypes, out_dtype)


def test_widening_and_narrowing_are_exact_for_all_halves_and_what_lies_between(kernel_variant: str) -> None:
    for dtype in (BFLOAT16, FLOAT16):
        every = np.arange(1 << 16, dtype="<u2").view(np.uint8)
        wide = np.frombuffer(_predict(kernel_variant, "copy", [every], (dtype,), FLOAT32), "<u4")
        numbers = ~np.isnan(wide.view("<f4"))
        back = np.frombuffer(_predict(kernel_variant, "copy", [wide.view(np.uint8)], (FLOAT32,), dtype), "<u2")
        assert (back == every.view("<u2"))[numbers].all()
        assert set(back[~numbers].tolist()) == {0x7FC0 if dtype == BFLOAT16 else 0x7E00}
        steps = np.array([0, 1, 0xFFF, 0x1000, 0x1001, 0x7FFF, 0x8000, 0x8001], np.uint32)
        between = (np.arange(1 << 16, dtype=np.uint32)[:, None] * 65536 + steps).reshape(-1)
        values = torch.from_numpy(between.view(np.float32))
        expected = (
            values.to(torch.bfloat16 if dtype == BFLOAT16 else torch.float16).view(torch.int16).numpy().view("<u2")
        )
        rounded = _predict(kernel_variant, "copy", [between.view(np.uint8)], (FLOAT32,), dtype)
        known = ~np.isnan(between.view("<f4"))
        assert (np.frombuffer(rounded, "<u2") == expected)[known].all()


def test_a_step_of_adam_is_that_of_torch(kernel_variant: str) -> None:
    """One step of AdamW: nearly all weights come out bit for bit, and v nearly all to the last place."""
    torch.manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(40_000) * 0.02)
    adam = torch.optim.AdamW([weight], lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, foreach=False)
    for _ in range(5):
        weight.grad = torch.randn(40_000) * 1e-3
        before = [
            x.detach().clone()
            for x in (weight, *(adam.state[weight].get(k, weight) for k in ("exp_avg", "exp_avg_sq")))
        ]
        adam.step()
    state = adam.state[weight]
    w0, m0, v0 = (x.numpy().view(np.uint8) for x in before)
    w1, m1, v1 = (x.detach().numpy().view(np.uint8) for x in (weight, state["exp_avg"], state["exp_avg_sq"]))
    kernels.select(kernel_variant)
    out = np.empty_like(w0)
    coefficients = (1 - 1e-3 * 0.1, -1e-3 / (1 - 0.9**5), 0.0, (1 - 0.95**5) ** 0.5, 1e-8)
    kernels.predict(kernels.PREDICT_ADAM, [w0, m1, v1], [0] * 3, coefficients, False, 0, out)
    assert (out.view("<u4") == w1.view("<u4")).mean() > 0.98
    kernels.predict(kernels.PREDICT_SECOND, [v0, m1, m0], [0] * 3, (0.95, 0.05, 0.1), False, 0, out)
    assert (abs(out.view("<i4") - v1.view("<i4")) < 64).mean() > 0.95


@pytest.mark.parametrize("name", ["four", "adam", "second"])
def test_flush_to_zero_in_the_calling_thread_changes_nothing(kernel_variant: str, name: str) -> None:
    bases = [_base(FLOAT32, 5000, seed, False) for seed in range(HOW[name][1])]
    bases[0].view("<u4")[:] &= 0x80FFFFFF  # denormal, or nearly
    before = _predict(kernel_variant, name, bases, (FLOAT32,) * 4, FLOAT32)
    supported = torch.set_flush_denormal(True)
    try:
        tiny = torch.tensor([1e-40]) * 1.0
        assert _predict(kernel_variant, name, bases, (FLOAT32,) * 4, FLOAT32) == before
        after = torch.tensor([1e-40]) * 1.0
        assert after.item() == tiny.item(), "the caller's setting was not put back"
        assert tiny.item() == 0 or not supported
    finally:
        torch.set_flush_denormal(False)


def test_a_mask_tells_one_nan_from_another(kernel_variant: str) -> None:
    kernels.select(kernel_variant)
    w, v = np.full(4, 0x3C00, "<u2"), np.full(4, 0x3C00, "<u2")
    m1, m0 = np.array([0x7C01, 0x7E01, 0xFE01, 0x8000], "<u2"), np.array([0x7E01, 0x7E01, 0x7E01, 0], "<u2")
    out = np.empty(4, "<u2")
    bases = [x.view(np.uint8) for x in (w, m1, v, m0)]
    kernels.predict(ADAM, bases, [FLOAT16] * 4, (2.0, 1.0, 1.0, 1.0, 1.0), True, FLOAT16, out.view(np.uint8))
    assert out.tolist() == [0x7E00, 0x3C00, 0x7E00, 0x4000]


def test_what_no_predictor_takes_is_refused() -> None:
    base, out = bytes(16), bytearray(16)
    wrong = [
        ("unknown", (0, [base], [0], [1.0], False, 0)), ("unknown", (4, [base] * 3, [0] * 3, [1.0] * 3, False, 0)),
        ("unknown", (LINEAR, [base], [0], [1.0], False, 3)),
        ("dtype of a base", (LINEAR, [base], [3], [1.0], False, 0)),
        ("bases", (LINEAR, [], [], [], False, 0)), ("bases", (LINEAR, [base] * 5, [0] * 5, [1.0] * 5, False, 0)),
        ("bases", (ADAM, [base] * 2, [0] * 2, [1.0] * 5, False, 0)),
        ("bases", (SECOND, [base] * 4, [0] * 4, [1.0] * 3, False, 0)),
        ("mask", (LINEAR, [base], [0], [1.0], True, 0)), ("mask", (ADAM, [base] * 3, [0] * 3, [1.0] * 5, True, 0)),
        ("a dtype for each", (LINEAR, [base], [0, 0], [1.0], False, 0)),
        ("coefficients", (LINEAR, [base], [0], [1.0, 2.0], False, 0)),
        ("coefficients", (ADAM, [base] * 3, [0] * 3, [1.0] * 4, False, 0)),
        ("as many elements", (LINEAR, [base], [1], [1.0], False, 0)),
        ("as many elements", (LINEAR, [base, bytes(12)], [0, 0], [1.0, 1.0], False, 0)),
        ("overlaps", (LINEAR, [memoryview(out)], [0], [1.0], False, 0)),
    ]  # fmt: skip
    for rule, how in wrong:
        with pytest.raises(ValueError, match=rule):
            kernels.predict(*how, out)
    assert out == bytes(16)
    kernels.predict(LINEAR, [b""], [0], [1.0], False, 0, bytearray())
