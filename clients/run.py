"""Try the clients of docs/how-to/trainers.md: ``run.py [--write] [NAME ...]``, all of them if none is named.

Each section of the page has a ``pip install`` line and a program. The line is run in an environment of its own, with
this checkout for idn-gym, and then the program, as it stands on the page and with `TINY` for the id it has. Prints
a table of what was tried, and with ``--write`` puts its rows into the page. Exit status 1 if anything failed.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "how-to" / "trainers.md"
ENVIRONMENTS = ROOT / ".venv-clients"
ID, TINY = "IDN/TopologyII-Sliding-v0", "IDN/Tiny-v0"
WITH = ("gymnasium", "numpy", "torch")
PATIENCE = 1800  # s; only so that a program that hangs ends in a failure
SECTION = re.compile(
    r"^## (.+?)\n.*?^```sh\npip install (.+?)\n```\n.*?^```python\n(.+?)^```", re.MULTILINE | re.DOTALL
)
TABLE = re.compile(r"(?<=<!-- tried -->\n).*?(?=<!-- end -->)", re.DOTALL)


def sections() -> dict[str, tuple[list[str], str]]:
    """What to install and the program, by the heading of the section."""
    return {title: (shlex.split(install), program) for title, install, program in SECTION.findall(PAGE.read_text())}


def installed(title: str, packages: list[str]) -> Path:
    """The interpreter of an environment that has the packages."""
    folder = ENVIRONMENTS / re.sub(r"\W+", "-", title.lower())
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    torch = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch==")]
    ours = [package.replace("idn-gym", str(ROOT), 1) for package in packages if package.startswith("idn-gym")]
    others = [package for package in packages if not package.startswith("idn-gym")]
    pip = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-c",
        ROOT / "clients/constraints.txt",
    ]
    subprocess.run([*pip, *torch, *others, *(word for path in ours for word in ("-e", path))], check=True)
    return python


def versions(python: Path, packages: list[str]) -> str:
    """``name version`` of those that are installed."""
    code = (
        "import sys, importlib.metadata as m\n"
        "have = {d.name.lower().replace('_', '-'): d.version for d in m.distributions()}\n"
        "print(', '.join(f'{name} {have[name]}' for name in sys.argv[1:] if name in have))"
    )
    names = [package.partition("[")[0].lower() for package in packages]
    return subprocess.run([python, "-c", code, *names], check=True, capture_output=True, text=True).stdout.strip()


def tried(python: Path, program: str) -> str:
    """Run a program in a folder of its own: ``ok``, or ``failed`` and how; what it printed goes to stderr."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "program.py"  # a file: some clients start processes that import it
        script.write_text(program)
        environment = {**os.environ, "MINARI_DATASETS_PATH": f"{folder}/minari"}
        environment["PATH"] = f"{python.parent}{os.pathsep}{os.environ['PATH']}"  # some programs run idn-gym
        environment.pop("PYTHONPATH", None)
        began = time.monotonic()
        try:
            done = subprocess.run(
                [python, script], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            return f"failed: not done after {PATIENCE} s"
        if done.returncode:
            print(done.stdout[-2000:], done.stderr[-8000:], sep="\n", file=sys.stderr)
            return f"failed: exit status {done.returncode}"
        print(*done.stdout.splitlines()[-5:], f"ok in {time.monotonic() - began:.0f} s", sep="\n", file=sys.stderr)
        return "ok"


def line(cells: list[str]) -> str:
    """A row of the table."""
    return f"| {' | '.join(cells)} |\n"


def main() -> int:
    """Try what is named and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="headings of the page, or parts of them")
    parser.add_argument("--write", action="store_true", help="put the table into the page")
    options = parser.parse_args()
    rows = []
    for title, (packages, program) in sections().items():
        if options.names and not any(name.lower() in title.lower() for name in options.names):
            continue
        print(f"== {title}: installing", file=sys.stderr)
        try:
            python = installed(title, packages)
        except subprocess.CalledProcessError as error:
            rows.append([title, "", "", f"failed to install: exit status {error.returncode}", ""])
            continue
        outcomes = []
        for env_id in (ID, TINY):
            print(f"== {title}: {env_id}", file=sys.stderr)
            outcomes.append(tried(python, program.replace(ID, env_id)))
        clients = versions(python, [package for package in packages if not package.startswith("idn-gym")]) or versions(
            python, [title]
        )
        rows.append([title, clients, versions(python, list(WITH)), *outcomes])
    head = ["client", "versions", "with", f"`{ID}`", f"`{TINY}`"]
    top = [line(head), line(["---"] * len(head))]
    told = {row[0]: line(row) for row in rows}
    print(*top, *told.values(), sep="", end="")
    if options.write:
        page = PAGE.read_text()
        before = {old.split(" | ")[0].strip("| "): old for old in TABLE.findall(page)[0].splitlines(keepends=True)}
        told = before | told
        table = "".join([*top, *(told[title] for title in sections() if title in told)])
        PAGE.write_text(TABLE.sub(lambda _: table, page))
    return int(any("failed" in cell for row in rows for cell in row) or not rows)


if __name__ == "__main__":
    sys.exit(main())
