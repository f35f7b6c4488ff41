"""The command line, ``idn-gym``: its commands, those of other packages, and how it ends."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from typer.core import TyperCommand, TyperGroup

from idn_gym import plugins
from idn_gym.cli import dataset, inspect, report, run, serve, stdout, terminal, topologies
from idn_gym.common import startup
from idn_gym.common.text import did_you_mean, line, shown
from idn_gym.errors import IdnError
from idn_gym.scenario.faults import phrase
from idn_gym.version import __version__

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Refusal: Any = typer.BadParameter.__mro__[2]  # what typer says of wrong usage; it has no public name everywhere
_LARGEST = 2**64  # whole numbers of the command line are below


class _Command(TyperCommand):
    """Refuses numbers that no computation takes, of every option alike, before anything runs."""

    def invoke(self, context: Any) -> Any:
        for parameter in self.params:
            value = context.params.get(parameter.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise IdnError(f"{parameter.opts[0]}: {value}; must be a finite number")
            if isinstance(value, int) and abs(value) >= _LARGEST:
                raise IdnError(f"{parameter.opts[0]}: {shown(value)}; must be a whole number below 2^64")
        return super().invoke(context)


class _Commands(TyperGroup):
    """Leaves to `main` what typer would end in words of its own."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _passed_on():
            return super().make_context(*arguments, **options)

    def invoke(self, context: Any) -> Any:
        with _passed_on():
            return super().invoke(context)


class _Typer(typer.Typer):
    """A program all of whose commands are `_Command`."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[_Function], _Function]:
        return super().command(name, **{"cls": _Command, **options})


app = _Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_COMMANDS: dict[str, Callable[..., Any]] = {
    "list": inspect.list_,
    "show": inspect.show,
    "schema": inspect.schema,
    "topologies": topologies.topologies,
    "check": inspect.check,
    "trace": serve.trace,
    "replay": serve.replay,
    "evaluate": serve.evaluate,
    "run": run.run,
    "sweep": run.sweep,
    "report": report.report,
    "dataset": dataset.dataset,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"idn-gym {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="show the version and exit")
    ] = False,
) -> None:
    """Inference delivery networks: which ML models should live where?"""


def main() -> None:
    """Entry point: bad input is one line on stderr and exit status 2, no traceback."""
    with terminal.printable_streams():
        try:
            with terminal.interruptible():
                add_commands()
                try:
                    app()
                finally:
                    sys.stdout.flush()
        except BaseException as error:
            _end(error)


def _end(error: BaseException) -> NoReturn:
    """Exit with what became of the command; what nobody has thought of is passed on."""
    try:
        sys.stdout.flush()
    except OSError:
        terminal.discard(sys.stdout)
    if terminal.interrupted(error):
        terminal.fail(startup.how_to_go_on(sys.argv[1:]), startup.INTERRUPTED)
    match error:
        case IdnError():
            terminal.fail(error, 2)
        case BrokenPipeError() | terminal.Unread():
            sys.exit(0)  # whoever read it has enough
        case OSError():
            terminal.fail(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), 1)
        case MemoryError():
            terminal.fail(f"not enough memory: {error}".removesuffix(": "), 1)
    raise error


def add_commands() -> None:
    """Add the commands of other packages; one that is at fault is named, and takes nothing along."""
    with stdout.only_documents():  # what a package prints when it is imported goes elsewhere
        plugins.commands(_COMMANDS, _add, terminal.complain)


def _add(name: str, command: Any) -> None:
    """Add a command, a function, or a group of commands, a `typer.Typer`."""
    if isinstance(command, typer.Typer):
        typer.main.get_command(command)
        app.add_typer(command, name=name)
        return
    alone = _Typer()
    alone.command(name)(command)
    typer.main.get_command(alone)  # raises where its signature is none of a command, which later costs all of them
    app.command(name)(command)


@contextmanager
def _passed_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise terminal.Interrupted from error
    except BrokenPipeError as error:
        raise terminal.Unread from error
    except _Refusal as error:
        if len(sys.argv) == 1:  # it is the help
            raise
        raise IdnError(_usage(error)) from None


_RANGE = re.compile(r"(\S+) is not in the range x>=(\S+?)\.?$")  # as typer's older versions have it


def _usage(error: Any) -> str:
    """What is wrong with the usage, in one line, and where the right one is."""
    if isinstance(error.__cause__, ValidationError):  # typer's newer versions leave the checking to pydantic
        fault = error.__cause__.errors(include_url=False)[0]
        given = "" if fault["type"] == "value_error" else f"{shown(fault['input'])}; "
        error.message = given + phrase(fault)
    text = line(" ".join(error.format_message().split()), 200)
    text = _RANGE.sub(r"'\1'; must be greater than or equal to \2", text)
    context = getattr(error, "ctx", None)
    if hasattr(error, "option_name") and context is not None:  # an option that there is not
        options = [word for parameter in context.command.params for word in parameter.opts if word.startswith("--")]
        text = f"no such option: {shown(error.option_name)}; {did_you_mean(error.option_name, options)}"
    text = text[:1].lower() + text[1:].rstrip(" .;")
    if context is None:
        return text
    return f"{text}{'' if text.endswith('?') else ';'} see {context.command_path} --help"


if __name__ == "__main__":
    main()
