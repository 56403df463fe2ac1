from __future__ import annotations

import pytest

from ckstore import errors
from ckstore.cli import failure

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CkError)]


def _code_and_message(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    def fail() -> None:
        raise error

    code = failure.guarded(fail)
    return code, capsys.readouterr().err


@pytest.mark.parametrize("kind", ALL)
def test_every_error_class_has_the_exit_code_of_its_group(
    kind: type[errors.CkError], capsys: pytest.CaptureFixture[str]
) -> None:
    groups = {errors.UsageError: 2, errors.NotFoundError: 3, errors.ConflictError: 4}
    expected = next((code for group, code in groups.items() if issubclass(kind, group)), 5)
    assert _code_and_message(kind("what\nhappened"), capsys) == (expected, "ckstore: error: what happened\n")


def test_a_plain_os_error_names_the_file_and_is_a_storage_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, message = _code_and_message(PermissionError(13, "Permission denied", "/x/y"), capsys)
    assert (code, message) == (5, "ckstore: error: /x/y: Permission denied\n")


def test_a_bug_is_one_line_with_a_code_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    code, message = _code_and_message(ZeroDivisionError("division by zero"), capsys)
    assert code == 70
    assert message.startswith("ckstore: error: a bug in ckstore: ZeroDivisionError: division by zero")
    assert message.count("\n") == 1


def test_a_traceback_is_shown_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CKSTORE_TRACEBACK", "1")
    code, message = _code_and_message(errors.RefNotFound("no such checkpoint"), capsys)
    assert code == 3
    assert "Traceback" in message
    assert message.endswith("ckstore: error: no such checkpoint\n")


def test_an_interrupt_exits_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert _code_and_message(KeyboardInterrupt(), capsys) == (130, "ckstore: interrupted\n")


def test_an_error_message_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in _code_and_message(errors.FormatError("object \x1b[2J"), capsys)[1]


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (1, 1)])
def test_a_command_may_return_its_exit_code(result: int | None, code: int) -> None:
    assert failure.guarded(lambda: result) == code
