"""Every reference resolves, in code, docstrings and documents: pages, headings, links, paths, names, imports."""

from __future__ import annotations

import ast
import json
import pkgutil
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"idn_gym": ROOT / "idn_gym", "idn_agents": ROOT / "agents" / "idn_agents"}
FOLDERS = ("idn_gym", "agents", "tests", "docs", "benchmarks", "notebooks")
GROUPS = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"])  # look like modules
GROUPS |= {"idn_gym.workloads", "idn_gym.capacities", "idn_gym.callbacks"}  # other packages' alone

FENCE = re.compile(r"^( *)(```+).*?^\1\2`* *$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: +\"[^\"]*\")?\)")
NAME_LINK = re.compile(r"\[`([\w.]+)`\]\(([^)\s#]+\.py)\)")
PAGE = re.compile(r"(?<![\w./-])docs/[\w/-]+\.md(?:#([\w-]+))?")
NAME = re.compile(r"(?<![\w./-])((?:idn_gym|idn_agents)(?:\.[A-Za-z_]\w*)+)(?::([A-Za-z_]\w*))?")
SHORT_NAME = re.compile(r"(?<!`)`([A-Za-z_]\w*)\.(?!(?:py|md|json|pt|csv|png)`)([A-Za-z_]\w*)(?:\([^`]*\))?`(?!`)")
IMPORT = re.compile(r"^ *from ((?:idn_gym|idn_agents)[\w.]*) import (\([^)]*\)|[^\n#;\"'\\]+)", re.MULTILINE)
PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)}|idn_agents)/[\w./-]*\.(?:py|ipynb|png|csv|json|yaml)\b")
QUOTED_PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)}|idn_agents)/[\w./-]*[\w/])`")
QUOTED_FILE = re.compile(r"`(\w+\.py)`")
QUOTED_TEST = re.compile(r"`(test_\w+)`")
ELSEWHERE = re.compile(
    r"\b(?:paper|design|(?<!docs/)(?<!\]\()systems|conventions|style)\.md\b"
    r"|\bthe design\b|\bdesign, (?:section|semantics|scenario|command)\b"
)

Fault = tuple[int, str]  # where in the text, and what


def texts() -> Iterator[tuple[Path, str]]:
    """Every text that refers to something; of a notebook its cells, of this file nothing: it holds planted faults."""
    found = [ROOT / "README.md", ROOT / "pyproject.toml", ROOT / "Makefile"]
    for folder in FOLDERS:
        found += [path for kind in ("py", "md", "ipynb", "yaml") for path in (ROOT / folder).rglob(f"*.{kind}")]
    for path in sorted(found):
        if path != Path(__file__).resolve() and ".ipynb_checkpoints" not in path.parts:
            text = path.read_text(encoding="utf-8")
            yield path, cells(text) if path.suffix == ".ipynb" else text


def cells(notebook: str) -> str:
    """What is written in the cells of a notebook; its outputs are left out."""
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(notebook)["cells"])


# --- what there is ------------------------------------------------------------------------------------------------


def blank(match: re.Match[str]) -> str:
    """As many lines and characters, and nothing in them."""
    return re.sub(r"[^\n]", " ", match.group())


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")


def slugs(page: str) -> set[str]:
    """The anchors of a page; a heading that comes again is numbered."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(FENCE.sub(blank, page)):
        name = slug(heading)
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


@cache
def anchors(path: Path) -> set[str]:
    """The anchors of a page in the repository."""
    return slugs(path.read_text(encoding="utf-8"))


@cache
def modules() -> dict[str, Path]:
    """Every module of both packages, by its dotted name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def bound(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """The names that statements bind, each with the statement; what is under an if or a try is there too."""
    names: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[node.name] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0]: node for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {name.id: node for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        for inner in ("body", "orelse", "handlers") if isinstance(node, ast.If | ast.Try) else ():
            names |= bound([part for part in getattr(node, inner, []) if isinstance(part, ast.stmt)])
    return names


def members(node: ast.stmt) -> dict[str, ast.stmt]:
    """What a class binds, itself and in its instances; nothing of what is no class."""
    if not isinstance(node, ast.ClassDef):
        return {}
    stored = (part for part in ast.walk(node) if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store))
    instance = {part.attr for part in stored if ast.unparse(part.value) == "self"}
    return {**dict.fromkeys(instance, ast.Pass()), **bound(node.body)}


@cache
def names_of(module: str) -> dict[str, ast.stmt]:
    """What a module binds."""
    return bound(ast.parse(modules()[module].read_text(encoding="utf-8")).body)


@cache
def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, a name in one or a member of a class; imported only if that is not plain."""
    parts = dotted.split(".")
    lengths = [n for n in range(1, len(parts) + 1) if ".".join(parts[:n]) in modules()]
    if not lengths:
        return False
    rest = parts[lengths[-1] :]
    names = names_of(".".join(parts[: lengths[-1]])) if rest else {}
    while rest and rest[0] in names:
        names = members(names[rest.pop(0)])
    return not rest or importable(dotted)


def importable(dotted: str) -> bool:
    """Whether a name is there once its module is imported: one that is loaded on first use, or inherited."""
    try:
        pkgutil.resolve_name(dotted)
    except (ImportError, AttributeError):
        return False
    return True


@cache
def short_names() -> dict[str, set[str]]:
    """What may follow the last part of a module's name, or a class that inherits nothing: the names in it."""
    found: dict[str, set[str]] = {}
    for module in modules():
        package, _, last = module.rpartition(".")
        found.setdefault(package.split(".")[-1], set()).add(last)
        found.setdefault(last, set()).update(names_of(module))
        for name, node in names_of(module).items():
            if isinstance(node, ast.ClassDef) and not node.bases:
                found.setdefault(name, set()).update(members(node))
    return found


@cache
def files() -> set[str]:
    """The name of every Python file."""
    return {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}


@cache
def defined_tests() -> set[str]:
    """Every test function and method."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    return {name for source in sources for name in re.findall(r"^ *def (test_\w+)", source, flags=re.MULTILINE)}


# --- what is wrong in a text --------------------------------------------------------------------------------------


def broken_pages(path: Path, text: str) -> Iterator[Fault]:
    """``docs/page.md#anchor``, wherever it is mentioned."""
    for match in PAGE.finditer(text):
        page = ROOT / match.group().partition("#")[0]
        if not page.is_file():
            yield match.start(), f"{match.group()}: no such page"
        elif match.group(1) and match.group(1) not in anchors(page):
            yield match.start(), f"{match.group()}: no such heading"


def broken_links(path: Path, text: str) -> Iterator[Fault]:
    """Links and pictures of a page; a link from a name to a Python file says that the file defines it."""
    if path.suffix != ".md":
        return
    prose = FENCE.sub(blank, text)
    for match in LINK.finditer(prose):
        target, _, anchor = match.group(1).partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        if target and not (path.parent / target).exists():
            yield match.start(), f"{match.group(1)}: leads nowhere"
        elif anchor and anchor not in (anchors((path.parent / target).resolve()) if target else slugs(text)):
            yield match.start(), f"{match.group(1)}: no such heading"
    of_path = {file: module for module, file in modules().items()}
    for match in NAME_LINK.finditer(prose):
        module = of_path.get((path.parent / match.group(2)).resolve())
        if module and not resolves(f"{module}.{match.group(1)}"):
            yield match.start(), f"{match.group(1)}: not in {match.group(2)}"


def broken_names(path: Path, text: str) -> Iterator[Fault]:
    """``idn_gym.module.name``, anywhere; ``idn_agents.module:Name`` too."""
    for match in NAME.finditer(text):
        dotted = ".".join(part for part in match.groups() if part)
        if match.group(1) not in GROUPS and not resolves(dotted):
            yield match.start(), f"{match.group()}: no such module or name"


def broken_short_names(path: Path, text: str) -> Iterator[Fault]:
    """`module.name` and `Class.member` in backticks, where there is such a module or class."""
    for match in SHORT_NAME.finditer(text):
        of, name = match.groups()
        if of not in PACKAGES and of in short_names() and name not in short_names()[of]:
            yield match.start(), f"{match.group()}: no such name"


def broken_imports(path: Path, text: str) -> Iterator[Fault]:
    """``from idn_gym.module import name``, in code and in what pages show of it."""
    for match in IMPORT.finditer(text):
        for name in re.findall(r"(\w+)(?: as \w+)?", re.sub(r"#.*", "", match.group(2))):
            if not resolves(f"{match.group(1)}.{name}"):
                yield match.start(), f"from {match.group(1)} import {name}: not there"


def broken_paths(path: Path, text: str) -> Iterator[Fault]:
    """Paths, from the root or as one imports; on pages also names of files and of tests alone."""
    for match in [*PATH.finditer(text), *QUOTED_PATH.finditer(text)]:
        name = match.group().strip("`")
        if not any((base / name).exists() for base in (ROOT, ROOT / "agents")):
            yield match.start(), f"{name}: no such file"
    if path.suffix == ".md":
        for pattern, known in ((QUOTED_FILE, files()), (QUOTED_TEST, defined_tests())):
            for match in pattern.finditer(text):
                if match.group(1) not in known:
                    yield match.start(), f"{match.group(1)}: no such file or test"


def elsewhere(path: Path, text: str) -> Iterator[Fault]:
    """Documents that are not in the repository."""
    for match in ELSEWHERE.finditer(text):
        yield match.start(), f"{match.group()}: not in the repository; docs/model.md has the formulas"


CHECKS = (
    broken_pages,
    broken_links,
    broken_names,
    broken_short_names,
    broken_imports,
    broken_paths,
    elsewhere,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_reference_resolves(check: Callable[[Path, str], Iterator[Fault]]) -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, at) + 1}: {what}"
        for path, text in texts()
        for at, what in check(path, text)
    ]
    assert not faults, "\n".join(["", *faults])


PAGE_HERE = ROOT / "docs" / "here.md"  # need not be there


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (broken_pages, "docs/nowhere.md"),
        (broken_pages, "Source: docs/optimum.md#nowhere."),
        (broken_links, "[a page](nowhere.md)"),
        (broken_links, "![a picture](nowhere.png)"),
        (broken_links, "[a file](../idn_gym/nowhere.py)"),
        (broken_links, "[a heading](optimum.md#nowhere)"),
        (broken_links, "# Here\n\n[a heading](#nowhere)"),
        (broken_links, "[`Nowhere`](../idn_gym/errors.py)"),
        (broken_names, "`idn_gym.nowhere`"),
        (broken_names, "``idn_gym.errors.Nowhere``"),
        (broken_names, "`idn_gym.errors.IdnError.nowhere`"),
        (broken_names, "python -m idn_gym.nowhere"),
        (broken_names, '"idn_agents.baselines:Nowhere"'),
        (broken_short_names, "`errors.Nowhere`"),
        (broken_short_names, "`Random.nowhere(values)`"),
        (broken_imports, "```python\nfrom idn_gym.errors import IdnError as error, Nowhere\n```\n"),
        (broken_imports, "    from idn_gym.errors import (\n        IdnError,  # that\n        Nowhere,\n    )\n"),
        (broken_paths, "python benchmarks/nowhere.py --seeds 3"),
        (broken_paths, "`idn_agents/nowhere.py`"),
        (broken_paths, "`benchmarks/nowhere`"),
        (broken_paths, "`nowhere.py`"),
        (broken_paths, "`test_nowhere`"),
        (elsewhere, "Source: paper.md section 2."),
        (elsewhere, "as the design says"),
        (elsewhere, "(design, section 2)"),
        (elsewhere, "Layout (design, command line): one folder"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_seen(check: Callable[[Path, str], Iterator[Fault]], text: str) -> None:
    seen = {other for other in CHECKS for _ in other(PAGE_HERE, text)}
    assert seen == {check}


@pytest.mark.parametrize(
    "text",
    [
        "docs/optimum.md#how-tight-the-bounds-are, [the same](optimum.md#how-tight-the-bounds-are)",
        "# Here, and `there`\n\n## Again\n\n## Again\n\n[1](#here-and-there) [2](#again) [3](#again-1)",
        "```\n# No heading: [no link](nowhere.md)\n```",
        "[`IdnError`](../idn_gym/errors.py), [elsewhere](https://example.org/nowhere.md#nowhere)",
        "`idn_gym.errors.IdnError`, `idn_gym.pack(network, priority)`, `idn_agents.baselines:Random`, `Random.reset`",
        "the entry-point group `idn_gym.agents`, `idn_gym.kernels.*`, `torch.Generator`",
        "```python\nfrom idn_gym import IDNEnv, pack\nfrom idn_gym.errors import IdnError as error  # so\n```\n",
        "`benchmarks/agents.py`, `idn_agents/baselines.py`, `errors.py`, `tests/`, `runs/mine`",
        "by design, the designs",
    ],
)
def test_what_is_sound_passes(text: str) -> None:
    assert not [fault for check in CHECKS for fault in check(PAGE_HERE, text)]
