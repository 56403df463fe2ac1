from __future__ import annotations

import json

import pytest

import ckstore


def test_tag_gives_a_checkpoint_another_name(cli, path: str) -> None:
    assert json.loads(cli("tag", path, "main@max:loss", "first", "--json").stdout)["tags"] == ["first"]
    with ckstore.open(path, readonly=True) as store:
        assert store.checkpoint("first").ref == "main@10"


def test_a_taken_tag_is_a_conflict_unless_moved(cli, path: str) -> None:
    result = cli("tag", path, "main@40", "good")
    assert result.exit_code == 4
    assert "main@20" in result.stderr
    assert cli("tag", path, "main@40", "good", "--move").exit_code == 0
    with ckstore.open(path, readonly=True) as store:
        assert store.checkpoint("good").ref == "main@40"


def test_a_tag_that_is_no_name_is_a_usage_error(cli, path: str) -> None:
    assert cli("tag", path, "main@40", "latest").exit_code == 2


def test_untag_removes_tags_and_keeps_the_checkpoint(cli, path: str) -> None:
    assert json.loads(cli("untag", path, "good", "--json").stdout) == {"untagged": ["good"]}
    assert cli("untag", path, "good").exit_code == 3
    with ckstore.open(path, readonly=True) as store:
        assert store.checkpoint("main@20").tags == []


def test_annotate_adds_to_what_is_there(cli, path: str) -> None:
    arguments = ["--metric", "acc=0.5", "--metric", "loss=2e-3", "--meta", "lr=[1,2]", "--meta", "note=a=b"]
    record = json.loads(cli("annotate", path, "main@10", *arguments, "--json").stdout)
    assert record["metrics"] == {"loss": 0.002, "acc": 0.5}
    assert record["meta"] == {"seed": 7, "lr": [1, 2], "note": "a=b"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "nothing to set"),
        (["--metric", "acc"], "'acc' is not NAME=VALUE"),
        (["--metric", "acc=high"], "metric 'acc' needs a number"),
        (["--meta", "=3"], "'=3' is not NAME=VALUE"),
    ],
)
def test_annotate_says_what_is_wrong_with_its_arguments(cli, path: str, arguments: list[str], complaint: str) -> None:
    result = cli("annotate", path, "main@10", *arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", "plain text", "{half"])
def test_a_note_that_is_not_strict_json_stays_a_string(cli, path: str, value: str) -> None:
    record = json.loads(cli("annotate", path, "main@10", "--meta", f"x={value}", "--json").stdout)
    assert record["meta"]["x"] == value
