"""What pip is to install for a trial of the versions that pyproject.toml allows: ``versions.py lowest | newest``.

Prints a requirement a line, for all dependencies of the package and its extras. The newest is whatever the registry
has; torch is the one of constraints.txt in both cases, since other builds of it bring gigabytes of CUDA.
"""

import re
import sys
import tomllib
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def requirements(which: str) -> list[str]:
    """Requirements in pip's syntax, in the order of the file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    lines = []
    for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
        bound = re.fullmatch(r"([\w.-]+)>=([\w.]+)(;.*)?", requirement.replace(" ", ""))
        if requirement.startswith(f"{project['name']}["):
            continue
        if not bound:
            sys.exit(f"pyproject.toml: {requirement!r}; must be NAME>=VERSION")
        name, version, marker = bound.groups(default="")
        if name == "torch":
            lines += [line for line in constraints if line.startswith("torch==")]
        else:
            lines.append(f"{name}=={version}{marker}" if which == "lowest" else f"{name}{marker}")
    return list(dict.fromkeys(lines))


if __name__ == "__main__":
    if sys.argv[1:] not in (["lowest"], ["newest"]):
        sys.exit(__doc__)
    print("\n".join(requirements(sys.argv[1])))
