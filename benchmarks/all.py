"""Every stored result anew, of one commit: the studies in order, each by the command that pages show.

    python benchmarks/all.py [--only NAME_OR_GROUP ...]    # what is of this commit already is not run again
    python benchmarks/all.py --list                        # of which commit each is, and what has changed since

Groups: `studies`; `trainings`, whose policies are kept in runs/ and trained if they are not there; `speed`, which wants
a machine with nothing else running. A study that fails does not stop the others; what it said is in runs/results.
Afterwards `python docs/tables.py` includes the tables. Code that is not committed is refused: results could not say
what made them.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stored import BEGUN_AT, CODE, RESULTS, ROOT, Document, clean, read, stamped

LOGS = ROOT / "runs" / "results"
GROUPS = ("studies", "trainings", "speed")


@dataclass(frozen=True)
class Study:
    """What is run for a document, or for some parts of one."""

    name: str
    minutes: float  # of one core, about
    commands: tuple[str, ...]  # behind `python benchmarks/`
    group: str = "studies"
    parts: tuple[str, ...] = ()  # without, the whole document

    @property
    def document(self) -> str:
        """The file among the results: the one that the last command names, or that of its own name."""
        found = re.search(r"\w+\.json", self.commands[-1])
        return found[0] if found else f"{self.commands[-1].partition('.py')[0]}.json"

    @property
    def lines(self) -> list[list[str]]:
        """Its commands, word by word."""
        return [["python", *shlex.split(f"benchmarks/{command}")] for command in self.commands]


INTO = "--output benchmarks/results"
COORDINATED = f"{INTO}/coordinated.json --jobs 1 --parts"
STUDIES = (
    Study("tuning", 4.5, ("tuning.py",)),
    Study("agents", 14, (f"agents.py {INTO}/agents.json",)),
    Study("causal", 3, (f"coordinated.py {COORDINATED} causal --seeds 5",), parts=("causal",)),
    Study(
        "law",
        3,
        (
            f"coordinated.py {COORDINATED} law --seeds 2 "
            "--cases topology-1-sliding topology-2-sliding abilene-sliding geant-sliding topology-2-bursty",
        ),
        parts=("law",),
    ),
    Study("grid", 25, (f"coordinated.py {COORDINATED} grid --seeds 3",), parts=("grid",)),
    Study("rates", 0.5, (f"coordinated.py {COORDINATED} rates --seeds 5",), parts=("rates",)),
    Study("suite", 11, ("suite.py",)),
    Study("runs", 2, (f"runs.py {INTO}/runs.json",)),
    *(
        Study(name, minutes, (f"systems.py --scenarios {name} {size}",), parts=(name,))
        for name, minutes, size in (
            ("variants-cores", 4, "--seeds 10"),
            ("pipeline-cores", 6, "--seeds 8 --slots 60"),
            ("uploads-4g", 1, "--seeds 10 --time-limit 5"),
            ("partition-priority", 1, "--seeds 3 --slots 60"),
            ("draft-and-verify", 2, "--seeds 5 --slots 60"),
            ("quantised-split", 1, "--seeds 3 --slots 60"),
        )
    ),
    Study("prices", 1, (f"prices.py {INTO}/prices.json --picture docs/prices.png",)),
    Study("services", 1, (f"prices.py --effects {INTO}/services.json",)),
    Study("chains", 7, ("chains.py --limit 60",)),
    Study("chains_agents", 4, (f"chains_agents.py --slots 60 {INTO}/chains_agents.json",), parts=("agents",)),
    Study("chains_steps", 1, (f"chains_agents.py --steps --slots 300 {INTO}/chains_agents.json",), parts=("steps",)),
    Study("certified", 2, (f"certified.py {INTO}/certified.json",)),
    Study("optimum", 2, (f"optimum.py {INTO}/optimum.json --plot docs/optimum.png",)),
    Study("protocol", 4.5, (f"protocol.py --slots 200 {INTO}/protocol.json",)),
    Study("regret", 1.5, (f"regret.py {INTO}/regret.json --picture docs/regret.png",)),
    Study("bound_sizes", 0.5, (f"bound_sizes.py {INTO}/bound_sizes.json",)),
    Study("hard_instances", 0.5, (f"hard_instances.py {INTO}/hard_instances.json",)),
    Study("load_aware", 1, (f"load_aware.py --seeds 3 --slots 400 {INTO}/load_aware.json",)),
    Study("outages", 0.5, (f"outages.py {INTO}/outages.json --picture docs/outages.png",)),
    Study(
        "learners",
        7,
        ("learners.py train", f"learners.py evaluate {INTO}/learners.json --plot docs/learners.png"),
        "trainings",
    ),
    Study("zero_shot", 60, ("zero_shot.py train", "zero_shot.py choose", "zero_shot.py evaluate"), "trainings"),
    Study("multi_agent", 5, (f"multi_agent.py run {INTO}/multi_agent.json",), "trainings"),
    Study("offline", 3, (f"offline.py run --scenario tiny {INTO}/offline.json",), "trainings"),
    Study("speed", 3, (f"speed.py --repeats 5 {INTO}/speed.json",), "speed"),
    Study("batched", 10, (f"batched.py --repeats 3 {INTO}/batched.json",), "speed"),
    Study("large", 3, (f"large.py {INTO}/large.json",), "speed"),
    Study("training_speed", 5, (f"training_speed.py --repeats 5 {INTO}/training_speed.json",), "speed"),
    Study(
        "against",
        5,
        (
            "against.py e5cc379 --repeats 3 --only 'run loop' --only 'environment step' --only 'steps, idn_gym, B' "
            f"--only 'infida, float32' {INTO}/against.json",
        ),
        "speed",
    ),
)


def scripts(study: Study) -> list[str]:
    """The scripts of a study, and what they import of each other."""
    found = list(dict.fromkeys(command.split()[0] for command in study.commands))
    for script in found:
        text = (ROOT / "benchmarks" / script).read_text("utf-8")
        imported = (f"{name}.py" for name in re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE))
        found += [name for name in imported if name not in found and (ROOT / "benchmarks" / name).exists()]
    return [f"benchmarks/{script}" for script in found]


def results(study: Study) -> list[Document]:
    """What is stored of a study; an empty document where something is not."""
    path = RESULTS / study.document
    found = stamped(read(path)) if path.exists() else {}
    return [found.get(part, {}) for part in study.parts] if study.parts else list(found.values()) or [{}]


def commits(study: Study) -> list[str]:
    """The commits that what is stored says it is of."""
    runs = [run for part in results(study) for run in (part, *part.get("also", ()))]
    return list(dict.fromkeys(run.get("commit") or run.get("stored_with", "nothing") for run in runs))


def done(study: Study) -> bool:
    """Whether all is stored, finished, of this commit and by these commands."""
    return commits(study) == [BEGUN_AT] and all(
        "unfinished" not in part and shlex.split(part["command"]) in study.lines for part in results(study)
    )


def standing(study: Study) -> str:
    """How what is stored stands to the code as it is now."""
    if done(study):
        return "of this commit"
    if any("unfinished" in part for part in results(study)):
        return "unfinished"
    if commits(study) == [BEGUN_AT]:
        return "by another command"
    depends = [*(path for path in CODE if "benchmarks" not in path), *scripts(study)]
    changed = set()
    for commit in commits(study):
        command = ["git", "diff", "--name-only", commit.removesuffix("-dirty"), "--", *depends]
        asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if asked.returncode:
            return "of a commit that is not here" if results(study)[0] else "not stored"
        changed |= set(asked.stdout.split())
    return f"{len(changed)} files changed since" if changed else "nothing it depends on changed since"


def run(study: Study) -> bool:
    """Run a study, with what it says in a log; whether all went well."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "agents")])}
    if study.group != "speed":
        environment |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    LOGS.mkdir(parents=True, exist_ok=True)
    log, began, spent = LOGS / f"{study.name}.log", time.monotonic(), cpu_minutes()
    print(f"{study.name}: about {study.minutes:g} minutes of one core; {log.relative_to(ROOT)}", flush=True)
    with log.open("w", encoding="utf-8") as file:
        for _, *words in study.lines:
            command = [sys.executable, *words]
            ended = subprocess.run(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT).returncode
            if ended:
                break
    took = f"{cpu_minutes() - spent:.1f} CPU minutes, {(time.monotonic() - began) / 60.0:.1f} by the clock"
    print(f"{study.name}: {f'FAILED with status {ended}: {last_line(log)}' if ended else 'stored'}; {took}", flush=True)
    return not ended


def cpu_minutes() -> float:
    """What processes that ended have used."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) / 60.0


def last_line(log: Path) -> str:
    """What a log ends with."""
    return (log.read_text("utf-8").strip().splitlines() or ["said nothing"])[-1]


def chosen(only: Sequence[str]) -> Iterator[Study]:
    """The studies of these names and groups, or all."""
    for each in STUDIES:
        if not only or each.name in only or each.group in only:
            yield each


def main() -> None:
    """List, or run what is not of this commit; exit status 1 if a study failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = (*GROUPS, *(study.name for study in STUDIES))
    parser.add_argument("--only", nargs="+", default=(), choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--list", action="store_true", help="run nothing")
    options = parser.parse_args()
    found = list(chosen(options.only))
    if options.list:
        print(f"code as of {BEGUN_AT}")
        for each in found:
            about = f"{each.name:18s} {each.group:10s} {each.minutes:4g} min"
            print(f"{about}  {', '.join(commits(each)):26s} {standing(each)}")
        return
    if not clean(BEGUN_AT):
        raise SystemExit(f"code as of {BEGUN_AT}: commit what is changed first, so that results can say what made them")
    left = [each for each in found if not done(each)]
    minutes = sum(each.minutes for each in left)
    print(f"{len(found) - len(left)} of {len(found)} are of {BEGUN_AT}; about {minutes:g} minutes of one core to go")
    failed = [each.name for each in left if not run(each)]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}; the same command tries these again")


if __name__ == "__main__":
    main()
