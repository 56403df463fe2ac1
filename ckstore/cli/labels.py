"""`tag`, `untag` and `annotate`: names and notes on checkpoints."""

from __future__ import annotations

import json
import math
from typing import Any

import click

from ckstore import api
from ckstore.cli import output
from ckstore.cli.common import command, print_checkpoint, ref_argument, store_argument, writing
from ckstore.errors import UsageError


@command("ckstore tag runs/store main@min:loss best --move")
@store_argument
@ref_argument
@click.argument("name")
@click.option("--move", is_flag=True, help="Take the tag off another checkpoint that has it.")
def tag(path: str, ref: str, name: str, move: bool, as_json: bool) -> None:
    """Give the checkpoint REF a second name. A tagged checkpoint cannot be deleted.

    JSON: the checkpoint, as in `ls`.
    """
    with writing(path) as store:
        _print(store.tag(ref, name, move=move), as_json)


@command("ckstore untag runs/store best")
@store_argument
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def untag(path: str, names: tuple[str, ...], as_json: bool) -> None:
    """Remove tags; the checkpoints stay.

    JSON: untagged.
    """
    with writing(path) as store:
        for name in names:
            store.untag(name)
    if as_json:
        output.print_json({"untagged": names})
    else:
        output.print_pairs([("untagged", name) for name in names])


@command("ckstore annotate runs/store main@100 --metric val_loss=2.31 --meta note='before the crash'")
@store_argument
@ref_argument
@click.option("--metric", "metrics", metavar="NAME=NUMBER", multiple=True, help="Set a metric; may be repeated.")
@click.option("--meta", metavar="NAME=VALUE", multiple=True, help="Set a note; VALUE is JSON, or else a string.")
def annotate(path: str, ref: str, metrics: tuple[str, ...], meta: tuple[str, ...], as_json: bool) -> None:
    """Set metrics and notes of the checkpoint REF, after the fact. What is not named stays as it is.

    JSON: the checkpoint, as in `ls`.
    """
    numbers = {name: _number(name, value) for name, value in map(_assignment, metrics)}
    notes = {name: _value(value) for name, value in map(_assignment, meta)}
    if not numbers and not notes:
        raise UsageError("nothing to set: give --metric NAME=NUMBER or --meta NAME=VALUE")
    with writing(path) as store:
        _print(store.annotate(ref, metrics=numbers, meta=notes), as_json)


def _print(checkpoint: api.Checkpoint, as_json: bool) -> None:
    if as_json:
        output.print_json(checkpoint.to_dict())
    else:
        print_checkpoint(checkpoint)


def _assignment(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise UsageError(f"{text!r} is not NAME=VALUE")
    return name, value


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"metric {name!r} needs a number, not {value!r}") from None


def _value(value: str) -> Any:
    """`value` as JSON where it is JSON (NaN and Infinity are not), else the string itself."""
    try:
        parsed = json.loads(value, parse_constant=lambda _: math.nan)
    except ValueError:
        return value
    return value if isinstance(parsed, float) and not math.isfinite(parsed) else parsed
