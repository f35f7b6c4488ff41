"""Agents, workloads and commands that others bring: found through entry points, or in a file or module of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from idn_gym.common.text import did_you_mean, shown
from idn_gym.errors import IdnError
from idn_gym.sources import Source, constructed, fault, refuse_without_methods

AGENTS = "idn_gym.agents"
WORKLOADS = "idn_gym.workloads"
CAPACITIES = "idn_gym.capacities"
CALLBACKS = "idn_gym.callbacks"
COMMANDS = "idn_gym.commands"
FIGURES = "idn_gym.figures"  # of idn-gym reproduce
REPORTS = "idn_gym.reports"  # what reads a record folder of one's own for idn-gym report
METHODS = ("reset", "act", "info")  # of an agent
_LONGEST = 200  # bytes of a name; file systems take 255


def names(group: str) -> list[str]:
    """What is registered under an entry-point group and may be, sorted."""
    return sorted({entry.name for entry in entry_points(group=group) if _is_name(entry.name)})


def load(group: str, name: str) -> Any:
    """The object registered under that name.

    Raises
    ------
    IdnError
        If there is none or more than one, its name cannot name a folder, or importing it fails, however it does.
    """
    found = _registered(group, name)
    kind = _kind(group)
    if not found:
        there = names(group)
        raise IdnError(f"no {kind} {name!r}; {did_you_mean(name, there)}registered: {', '.join(there) or 'none'}")
    if not _is_name(name):
        raise IdnError(
            f"{kind} {shown(name)} of package {_package(found[0])}: it names a folder; allowed: printable text of at "
            f"most {_LONGEST} bytes, without slashes and backslashes, and not . or .."
        )
    if len(found) > 1:
        places = " and ".join(f"{_package(entry)} ({entry.value})" for entry in found)
        raise IdnError(f"{kind} {name!r}: registered twice, by {places}; uninstall one of the packages")
    try:
        return found[0].load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a module of somebody else's may raise anything
        where = f"{found[0].value} of package {_package(found[0])}"
        raise IdnError(f"{name}: cannot be loaded from {where}: {fault(error)}") from error


def commands(taken: Collection[str], add: Callable[[str, Any], None], refused: Callable[[str], None]) -> None:
    """Load every registered command; another package's fault does not take the other commands along.

    Parameters
    ----------
    taken : names that no package may register.
    add : called with the name and function of each; may raise what it likes if it cannot make a command of it.
    refused : called with a line about each that is not added.
    """
    for name in sorted({entry.name for entry in entry_points(group=COMMANDS)}):
        try:
            if name in taken:
                packages = " and ".join(_package(entry) for entry in _registered(COMMANDS, name))
                raise IdnError(f"command {name!r} of package {packages}: idn-gym has a command of that name")
            command = load(COMMANDS, name)
            try:
                add(name, command)
            except Exception as error:
                packages = _package(_registered(COMMANDS, name)[0])
                raise IdnError(f"command {name!r} of package {packages}: cannot be a command: {error}") from error
        except IdnError as error:
            refused(str(error))


def versions(used: Iterable[str]) -> dict[str, str]:
    """What agents, workloads and capacities of these names are made by: package -> version, file -> digest."""
    found = {entry.name: entry.dist for group in (AGENTS, WORKLOADS, CAPACITIES) for entry in entry_points(group=group)}
    used = list(used)
    packages = [found[name] for name in used if name in found]
    own = [source for name in used if (source := Source.of(name))]
    return {package.name: package.version for package in packages if package is not None} | {
        source.module: source.digest() for source in own
    }


def make(group: str, name: str, parameters: dict[str, Any], methods: tuple[str, ...] = ()) -> Any:
    """What is registered under that name, or is in the file or module that it names, made with these keywords.

    Parameters
    ----------
    methods : that it must have.

    Raises
    ------
    IdnError
        If there is no such thing, it takes no such keyword or not that value, needs one that is not given, or fails.
    """
    who, source = f"{_kind(group)} {name}", Source.of(name)
    if source is None:
        factory = load(group, name)
    else:
        try:
            factory = source.load()
        except IdnError as error:
            raise IdnError(f"{who}: {error}") from error
    made = constructed(who, factory, parameters)
    refuse_without_methods(who, made, methods)
    return made


def make_agent(name: str, parameters: dict[str, Any]) -> Any:
    """An agent, registered or of one's own, constructed with these keywords; see `make`.

    Raises
    ------
    IdnError
        As `make`; or if it says that it acts in hindsight and has no method ``fit``.
    """
    agent = make(AGENTS, name, parameters)
    refuse_no_agent(f"agent {name}", agent)
    return agent


def refuse_no_agent(who: str, agent: Any) -> None:
    """Raise an `IdnError` unless an agent has the methods of one."""
    if isinstance(agent, type):
        raise IdnError(f"{who}: is a class; give an agent, {agent.__name__}()")
    refuse_without_methods(who, agent, METHODS + ("fit",) * bool(getattr(agent, "hindsight", False)))


def _registered(group: str, name: str) -> list[EntryPoint]:
    return [entry for entry in entry_points(group=group) if entry.name == name]


def _kind(group: str) -> str:
    return {"capacities": "capacity"}.get(kind := group.rpartition(".")[2], kind.removesuffix("s"))


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "unknown"


def _is_name(name: str) -> bool:
    """Whether it can name one folder and prints as it is."""
    return name.isprintable() and len(name.encode()) <= _LONGEST and not re.search(r"^\.{0,2}$|[/\\]", name)
