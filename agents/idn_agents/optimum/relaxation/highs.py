"""The solver HiGHS, imported when it is needed and run so that an interrupt ends it cleanly."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable
from typing import Any

from idn_gym.common.extras import require

_POLL_S = 0.1


def import_highspy() -> Any:
    """The solver, or an `IdnError` that names the extra."""
    require_solver("optimum")
    return importlib.import_module("highspy")


def require_solver(what: str = "") -> None:
    """Raise an `IdnError` that names the extra, unless the solver is installed; before work that ends with it."""
    require("optimum", what)


def new_model(highspy: Any) -> Any:
    """An empty model to be maximised, silent, on one thread: the same input gives the same output."""

    class Silent(highspy.Highs):  # type: ignore[misc]
        def enableCallbacks(self) -> None:  # called by the constructor, and would print a banner
            self.silent()
            super().enableCallbacks()

    model = Silent()
    model.silent()  # whatever a version's constructor calls
    model.setOptionValue("threads", 1)
    model.changeObjectiveSense(highspy.ObjSense.kMaximize)
    return model


def run(model: Any, poll: Callable[[], None] = lambda: None) -> None:
    """Solve; what `poll`, called now and then, or an interrupt of the user raises stops the solver and is passed on.

    The solver runs in a thread of its own: Python delivers an interrupt between the bytecodes of the main one, and the
    solver's pool of threads, whose size is fixed at its first use in a thread, is not the caller's.
    """
    stop, done = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def check(event: Any) -> None:
        if stop.is_set():
            event.data_in.user_interrupt = True

    def work() -> None:
        try:
            model.run()
        except BaseException as error:  # of a callback
            errors.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=work, daemon=True)
    model.cbSimplexInterrupt += check
    model.cbMipInterrupt += check
    thread.start()
    try:
        while not done.wait(_POLL_S):  # not thread.join, after whose interrupt a running thread may pass for ended
            poll()
    finally:
        stop.set()
        while not done.is_set():
            with contextlib.suppress(KeyboardInterrupt):  # a second one must not leave the solver running
                done.wait()
        thread.join()
        model.cbSimplexInterrupt -= check
        model.cbMipInterrupt -= check
    if errors:
        raise errors[0]
