"""Another commit beside this checkout, on this machine, so that a slower commit is seen: ratios of processor time.

    make benchmarks-against REV=v0.2.0
    python benchmarks/against.py REV [--only TEXT]... [--repeats 15] [--output FILE.json]

The commit is checked out into a temporary folder. Each of the two works in a process of its own, pinned to one core,
warm; what is compared takes turns, case by case, and a ratio is that of one turn: below 1, this checkout is faster.
The cases are the rows of `speed.py`, `batched.py` and `services.py` of this checkout, whichever commit they measure.
Time is the processor's, of one thread: it leaves out waiting for others on the machine, though not what they do to the
caches.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["NUMBA_NUM_THREADS"] = "1"

from stored import markdown, stamp, write

ROOT = Path(__file__).resolve().parents[1]
Cases = Mapping[str, Callable[[], object]]


def groups() -> tuple[str, ...]:
    """Names of what is measured together."""
    import services

    return "speed", "batched", services.PLAIN, services.FOUR


def cases(group: str) -> Cases:
    """What is measured in a group, by name."""
    import batched
    import services
    import speed

    match group:
        case "speed":
            return speed.cases()
        case "batched":
            return batched.cases()
        case _:
            return services.cases(group)


def work() -> None:
    """A process that measures: a line in, group and case as JSON; a line out.

    That is seconds, null where the checkout has no such case or cannot run it, or the names of all cases.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    answers, sys.stdout = sys.stdout, sys.stderr
    from idn_gym.errors import IdnError

    made: dict[str, dict[str, Callable[[], object]]] = {}
    warm = set()
    for line in sys.stdin:
        group, case = json.loads(line)
        if group not in made:
            try:
                made[group] = dict(cases(group))
            except IdnError:  # of another time, when there was no such scenario
                made[group] = {}
        if case is None:
            print(json.dumps(list(made[group])), file=answers, flush=True)
            continue
        if case not in made[group]:
            print(json.dumps(None), file=answers, flush=True)
            continue
        if (group, case) not in warm:
            try:
                made[group][case]()  # made, and compiled
            except Exception:  # what it asks for is of another time
                traceback.print_exc()
                del made[group][case]
                print(json.dumps(None), file=answers, flush=True)
                continue
            warm.add((group, case))
        began = time.process_time()
        made[group][case]()
        print(json.dumps(time.process_time() - began), file=answers, flush=True)


class Worker:
    """The process of one checkout."""

    def __init__(self, root: Path) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "agents")])}
        command = [sys.executable, __file__, "--work"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def ask(self, group: str, case: str | None = None) -> Any:
        """Seconds of a case, None where there is none, or the names of all."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([group, case]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("a worker ended early; see above")
        return json.loads(answer)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def compared(
    first: tuple[Worker, str], second: tuple[Worker, str], repeats: int, only: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """A row per case: milliseconds of both, medians, and the ratio of the second to the first with its middle half."""
    rows = []
    worker, group = second  # the first makes cases only where it is asked for one: it may be too old for some
    for case in worker.ask(group):
        if only and not any(text in case for text in only):
            continue
        if first[0].ask(first[1], case) is None or worker.ask(group, case) is None:
            print(f"  {case:40s} not run by both", flush=True)
            continue
        turns = [[worker.ask(group, case) for worker, group in (first, second)] for _ in range(repeats)]
        ratios = sorted(after / before for before, after in turns)
        low, _, high = statistics.quantiles(ratios, n=4)
        before, after = (statistics.median(column) * 1e3 for column in zip(*turns, strict=True))
        ratio = statistics.median(ratios)
        rows.append({"case": case, "first_ms": before, "second_ms": after, "ratio": ratio, "low": low, "high": high})
        print(f"  {case:40s} {before:9.2f} ms {after:9.2f} ms   x {ratio:.2f} [{low:.2f}, {high:.2f}]", flush=True)
    return rows


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A folder with another commit, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "against"
        git = ["git", "-C", str(ROOT), "worktree"]
        if subprocess.run([*git, "add", "--quiet", "--detach", str(folder), revision]).returncode:
            raise SystemExit(f"{revision}: no commit of this repository")
        try:
            yield folder
        finally:  # whether or not that is possible, what was measured is not lost, and the files go all the same
            if subprocess.run([*git, "remove", "--force", str(folder)]).returncode:
                shutil.rmtree(folder, ignore_errors=True)
                subprocess.run([*git, "prune"])


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown: each case that was compared."""
    lines = [
        [group, row["case"], f"{row['first_ms']:,.1f}", f"{row['second_ms']:,.1f}", f"{row['ratio']:.2f}", shown(row)]
        for group, rows in document["groups"].items()
        for row in rows
    ]
    header = ("of", "what", f"ms, {document['revision']}", "ms, now", "ratio", "middle half")
    return {"against": markdown(header, lines)}


def shown(row: dict[str, Any]) -> str:
    """The middle half of a ratio."""
    return f"{row['low']:.2f} to {row['high']:.2f}"


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", nargs="?", help="a commit, a branch, a tag")
    parser.add_argument("--only", default=[], action="append", help="cases whose name contains this, or another one")
    parser.add_argument("--repeats", type=int, default=15, help="turns of each case, at least 2")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return
    if not options.revision or options.repeats < 2:
        parser.error("give a commit to compare with, and at least 2 repeats")
    document: dict[str, Any] = {"repeats": options.repeats, "revision": options.revision, "groups": {}}
    with checkout(options.revision) as folder:
        there, here = Worker(folder), Worker(ROOT)
        try:
            for group in groups():
                print(f"{group}: {options.revision}, then this checkout, and the ratio of the two", flush=True)
                rows = compared((there, group), (here, group), options.repeats, options.only)
                document["groups"][group] = rows
                if options.output:  # at once: what comes later may fail
                    write(options.output, {**stamp(), **document})
        finally:
            there.close()
            here.close()
    print(tables(document)["against"])


if __name__ == "__main__":
    main()
