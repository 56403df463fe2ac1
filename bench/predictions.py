"""What is known of a tensor from its parent checkpoint and from the rest of its own: the guesses of the floor.

Guesses are made with IEEE arithmetic in NumPy, most of it in float32, as the optimisers of torch compute on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bench import states

Floats = npt.NDArray[np.float32]
_FIT = 1 << 14
_AVERAGE, _WEIGHTS = "ema", ("master", "model")
_f4 = np.float32


@dataclass(frozen=True, slots=True)
class Link:
    """What belongs to one parameter of an optimiser: the name of its tensor, its slots, its group."""

    weight: str
    slots: dict[str, Any]
    group: dict[str, Any]


class Named:
    """A state by names: its tensors, and for names of weights and slots what belongs together."""

    def __init__(self, state: Any) -> None:
        self.tensors = {entry.name: entry for entry in states.named_tensors(state)}
        self.links: dict[str, Link] = {}
        for part in ("optimizer", "sparse"):
            if part in state:
                self._link(part, state[part])

    def _link(self, part: str, optimizer: dict[str, Any]) -> None:
        """Parameters come in the order of the weights; what has another shape is not one of this optimiser's."""
        top = next(key for key in _WEIGHTS if any(name.startswith(key + ".") for name in self.tensors))
        weights = iter([entry for name, entry in self.tensors.items() if name.startswith(top + ".")])
        for group in optimizer["param_groups"]:
            for number in group["params"]:
                slots = optimizer["state"].get(number, {})
                shapes = [value.shape for value in slots.values() if torch.is_tensor(value) and value.dim()]
                found = next((w for w in weights if shapes and w.tensor.shape == shapes[0]), None)
                if found is not None:
                    link = Link(found.name, slots, group)
                    names = [f"{part}.state.{number}.{slot}" for slot in slots]
                    self.links |= dict.fromkeys([found.name, *names], link)


def words(tensor: torch.Tensor) -> Any:
    """The elements by their bits, (rows, columns): the first axis, and all others."""
    raw = states.NamedTensor("", tensor).raw.view(f"u{min(8, tensor.element_size())}")
    return raw.reshape(tensor.shape[0] if tensor.dim() > 1 and tensor.numel() else 1, -1)


def base_of(entry: states.NamedTensor, before: Named | None) -> Any:
    """The tensor of the same name, dtype and shape in the parent; None if there is none."""
    found = before.tensors.get(entry.name) if before else None
    same = found and (found.dtype, found.tensor.shape) == (entry.dtype, entry.tensor.shape)
    return words(found.tensor) if found and same else None


def is_rounding(entry: states.NamedTensor, now: Named) -> bool:
    """Whether a half-precision tensor is the rounding of the float32 tensor of the same last names."""
    master = now.tensors.get("master." + entry.name.partition(".")[2])
    if entry.dtype not in ("bfloat16", "float16") or master is None or master.tensor.shape != entry.tensor.shape:
        return False
    return torch.equal(master.tensor.to(entry.tensor.dtype).view(torch.int16), entry.tensor.view(torch.int16))


def guesses(entry: states.NamedTensor, now: Named, before: Named, rows: npt.NDArray[np.int64]) -> Iterator[Any]:
    """Guesses of these rows of a tensor by their bits: the parent first."""
    base = base_of(entry, before)
    if base is None:
        return
    yield base[rows]
    if entry.dtype == "float32":
        yield from (guess.view(np.uint32) for guess in _floats(entry, now, before, rows))


def _floats(entry: states.NamedTensor, now: Named, before: Named, rows: npt.NDArray[np.int64]) -> Iterator[Floats]:
    def of(tensor: torch.Tensor) -> Floats:
        return words(tensor)[rows].view(np.float32)

    x, base, (top, _, name) = of(entry.tensor), of(before.tensors[entry.name].tensor), entry.name.partition(".")
    links = (now.links.get(entry.name), before.links.get(entry.name))
    if top == _AVERAGE:
        pairs = [state.tensors.get(f"{key}.{name}") for state in (now, before) for key in _WEIGHTS]
        weights = [of(pair.tensor) - base for pair in pairs if pair and pair.dtype == "float32"]
        yield fitted(x, base, weights)
    elif links[0] and links[1] and links[0].slots.keys() == links[1].slots.keys():
        slots = [{key: of(v) for key, v in link.slots.items() if torch.is_tensor(v) and v.dim()} for link in links]
        steps = [int(link.slots.get("step", 0)) for link in links]
        if entry.name == links[0].weight:
            yield from weight(x, base, slots, links[1].group, steps)
        else:
            yield from moment(entry.name.rpartition(".")[2], x, base, slots, links[1].group, steps)


def weight(x: Floats, base: Floats, slots: Any, group: dict[str, Any], steps: Sequence[int]) -> Iterator[Floats]:
    """Guesses of a weight from its slots (now, before): AdamW of torch replayed, or what fits best.

    steps: the optimiser's count of steps (now, before). group: hyper-parameters as they were saved before.
    """
    now, earlier = slots
    if "momentum_buffer" in now:
        yield fitted(x, base, [now["momentum_buffer"], earlier["momentum_buffer"], base])
    if "exp_avg_sq" not in now:
        return
    if "weight_decay" not in group:
        yield from _touched_once(base, now, group, steps)
    rates = [1 - beta ** steps[0] for beta in group["betas"]]
    root = np.sqrt(now["exp_avg_sq"]) / _f4(rates[1] ** 0.5) + _f4(group["eps"])
    if steps[0] - steps[1] == 1:
        decayed = base * _f4(1 - group["lr"] * group.get("weight_decay", 0))
        yield decayed + _f4(-group["lr"] / rates[0]) * now["exp_avg"] / root
    yield fitted(x, base, [now["exp_avg"] / root, earlier["exp_avg"] / root, base])


def _touched_once(base: Floats, now: Any, group: dict[str, Any], steps: Sequence[int]) -> Iterator[Floats]:
    """SparseAdam of torch replayed, for rows that were in one batch only since the parent: one guess a step."""
    move = now["exp_avg"] / (np.sqrt(now["exp_avg_sq"]) + _f4(group["eps"]))
    for step in range(steps[1] + 1, steps[0] + 1):
        first, second = (1 - beta**step for beta in group["betas"])
        yield base + _f4(-group["lr"] * second**0.5 / first) * move


def moment(
    name: str, x: Floats, base: Floats, slots: Any, group: dict[str, Any], steps: Sequence[int]
) -> Iterator[Floats]:
    """Guesses of a slot: what it decays to without gradient; one step apart, the second moment from the two first."""
    now, earlier = slots
    if name == "momentum_buffer":
        yield fitted(x, base, [base])
    if name not in ("exp_avg", "exp_avg_sq"):
        return
    first, second = group["betas"]
    decayed = base
    for _ in range(steps[0] - steps[1]):
        if name == "exp_avg":  # torch's lerp to a gradient of zero, in one rounding
            decayed = (decayed - float(_f4(1 - first)) * decayed.astype(np.float64)).astype(np.float32)
        else:
            decayed = decayed * _f4(second)
    yield decayed
    if name == "exp_avg_sq":
        yield _at_least(decayed, slots, group["betas"], steps[0] - steps[1])
    sparse = "weight_decay" not in group
    if name == "exp_avg_sq" and (sparse or steps[0] - steps[1] == 1):
        start = earlier["exp_avg"].astype(np.float64)
        gradient = ((now["exp_avg"] - start) / (1 - first) + start).astype(np.float32)
        yield (base if sparse else decayed) + _f4(1 - second) * (gradient * gradient - (base if sparse else 0))


def _at_least(decayed: Floats, slots: Any, betas: tuple[float, float], n_steps: int) -> Floats:
    """The least that a second moment can be, if the gradients since then add up to what the first ones show (Cauchy and
    Schwarz)."""
    first, second = betas
    new = slots[0]["exp_avg"] - _f4(first**n_steps) * slots[1]["exp_avg"]
    spread = sum((first**2 / second) ** step for step in range(n_steps)) * (1 - first) ** 2 / (1 - second)
    return decayed + new * new / _f4(spread) if spread else decayed


def fitted(x: Floats, base: Floats, terms: Sequence[Floats]) -> Floats:
    """`base` and the combination of `terms` that comes nearest to `x`, by least squares over what changed."""
    difference = (x.astype(np.float64) - base).reshape(-1)
    table = np.stack([term.reshape(-1) for term in terms], 1).astype(np.float64)
    changed = np.flatnonzero((difference != 0) & np.isfinite(difference) & np.isfinite(table).all(1))
    if len(changed) < 2 * len(terms):
        return base
    changed = changed[:: max(1, len(changed) // _FIT)]
    factors = np.linalg.lstsq(table[changed], difference[changed], rcond=None)[0]
    return (base.reshape(-1) + table @ factors).astype(np.float32).reshape(x.shape)
