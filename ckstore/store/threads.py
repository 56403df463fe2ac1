"""Work for a pool of threads, done all the same where the pool cannot take it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Here(threading.local):
    submitting = False
    alone = False


_here = _Here()


def submit(pool: ThreadPoolExecutor, work: Callable[_P, _T], *args: _P.args, **more: _P.kwargs) -> Future[_T]:
    """As pool.submit(). On a thread of its own, and waited for, where that can no more or not now be called.

    That is: when the interpreter is ending, and in a signal handler that interrupted another submit() of this thread,
    which holds a lock of all pools. Not on the calling thread: what the handler interrupted may be using its buffers.
    """
    if not _here.submitting:
        _here.submitting = True
        try:
            return pool.submit(work, *args, **more)
        except RuntimeError as error:
            if "cannot schedule new futures" not in str(error):
                raise
        finally:
            _here.submitting = False
    return _apart(lambda: work(*args, **more))


def _apart(work: Callable[[], _T]) -> Future[_T]:
    done: Future[_T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    except RuntimeError:  # no thread can start: newer Pythons refuse it when the interpreter is ending
        if _here.alone:
            raise
        _here.alone = True
        try:
            run()
        finally:
            _here.alone = False
    return done
