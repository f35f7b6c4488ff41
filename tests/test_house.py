"""The house's own rules: who may import whom, what an import costs, docstrings, and what a wheel holds."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from command_line import PATIENCE, environment

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"idn_gym": ROOT / "idn_gym", "idn_agents": ROOT / "agents" / "idn_agents"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = (
    "torch",
    "matplotlib",
    "stable_baselines3",
    "sb3_contrib",
    "highspy",
    "tensorboard",
    "ray",
    "pettingzoo",
    "plotly",
    "jinja2",
)

# modules about an extra may import it at once
DOORS = (
    r"idn_gym\.batched(\..*)?|idn_gym\.sb3|idn_gym\.multi_agent|idn_agents\.infida\.batch"
    r"|idn_agents\.learning\.(features|orders|portable_orders|policy|ppo_torch|checkpoint|folder|sb3_training|threads|offline\.learners|multi_agent\.(learner|nodes))"
)

# Data flows one way (docs/house.md): a room knows nothing of those above it, directly or through others.
LAYERS = (
    ("common", "errors", "typing", "sources", "plugins"),
    ("scenario", "topology", "catalog"),
    ("model", "library"),
    ("kernels",),
    ("workload",),
    ("env",),
    ("batched", "experiment", "wrappers", "multi_agent"),
    ("report", "sb3", "testing", "datasets"),
    ("cli",),
    ("reproduce", "suite"),
)


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of both packages, by its dotted name."""
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@cache
def tree(path: Path) -> ast.Module:
    """The syntax of a module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def only_for_types(node: ast.AST) -> bool:
    """Whether it is ``if TYPE_CHECKING:``, whose body never runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def running(node: ast.AST, inside: bool = True) -> Iterator[ast.AST]:
    """A syntax tree less what is there for type checkers; with `inside` also the bodies of functions."""
    yield node
    for child in ast.iter_child_nodes(node):
        if only_for_types(child) or (not inside and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)):
            continue
        yield from running(child, inside)


def imported(name: str, path: Path, inside: bool = True, types: bool = False) -> set[str]:
    """The modules that a module imports; of ``from package import name`` the module, if the name is one."""
    known = {module for module, _ in modules()}
    found = set()
    for node in ast.walk(tree(path)) if types else running(tree(path), inside):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            assert node.module is not None
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (parts & known) or {node.module}
    return found - {name}


def imports(inside: bool = True, types: bool = False) -> nx.DiGraph[str]:
    """Who imports whom, among the modules of both packages and of others."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for name, path in modules():
        graph.add_edges_from((name, other) for other in imported(name, path, inside, types))
    return graph


def layer(module: str) -> int | None:
    """The number of a module's layer, if it has one; a package is in the layer of its name."""
    parts = module.split(".")
    if parts[0] != "idn_gym" or len(parts) == 1:
        return None
    return next((n for n, names in enumerate(LAYERS) if parts[1] in names), None)


class TestImports:
    def test_the_environment_knows_nothing_of_agents(self) -> None:
        """Neither by an import nor by a name to import later."""
        for name, path in modules():
            if not name.startswith("idn_gym"):
                continue
            known = {other for other in imported(name, path) if other.split(".")[0] == "idn_agents"}
            assert not known, f"{name} imports {known}"
            texts = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)]
            named = [node for node in texts if re.fullmatch(r"idn_agents[\w.:]*", str(node.value))]
            assert not named, f"{name}:{named[0].lineno} names {named[0].value}"

    def test_layers(self) -> None:
        """Nothing reaches what is above it, not even from inside a function, not even through others."""
        graph = imports()
        for module in graph:
            own = layer(module)
            if own is None:
                continue
            above = {other for other in nx.descendants(graph, module) if (layer(other) or 0) > own}
            if above:
                way = " -> ".join(nx.shortest_path(graph, module, min(above)))
                pytest.fail(f"{module} reaches a layer above its own: {way}")

    def test_layers_are_there(self) -> None:
        """Each is a module; a renamed one would leave its rule empty."""
        names = {module.split(".")[1] for module, _ in modules() if module.startswith("idn_gym.")}
        expected = {name for names in LAYERS for name in names}
        assert expected <= names
        graph = imports()
        assert any(layer(other) == 3 for other in nx.descendants(graph, "idn_gym.env.env")), "env is built on kernels"
        assert "idn_gym.model.network" in nx.descendants(graph, "idn_gym.cli.inspect"), (
            "the graph sees imports inside functions"
        )

    def test_no_cycles(self) -> None:
        """Imports inside functions and those for type checkers included."""
        graph = imports(types=True)
        assert graph.number_of_edges() > imports(inside=False).number_of_edges(), "it sees more than what runs at once"
        cycles = [part for part in nx.strongly_connected_components(graph) if len(part) > 1]
        assert not cycles, " - ".join(sorted(cycles[0]))

    def test_no_private_names_across_files(self) -> None:
        """What another file needs has a public name."""
        for name, path in modules():
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
                    private = [alias.name for alias in node.names if re.match("_[^_]", alias.name)]
                    assert not private, f"{name}:{node.lineno} imports {private[0]} of {node.module}"

    def test_rooms_are_small(self) -> None:
        """About a dozen modules to a room, about 350 lines to a module."""
        rooms = Counter(path.parent for _, path in modules())
        assert {str(room.relative_to(ROOT)): count for room, count in rooms.items() if count > 15} == {}
        lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules()}
        assert {name: count for name, count in lines.items() if count > 360} == {}

    def test_the_house_answers_its_questions(self) -> None:
        """Each answer on docs/house.md is a file that has what it names."""
        page = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
        answers = re.findall(r"^\| [^|]+\? \| `([^`:]+): (\w+)` \|$", page, re.MULTILINE)
        assert len(answers) == 10
        for file, name in answers:
            body = tree(ROOT / file).body
            assigned = [node for node in body if isinstance(node, ast.Assign | ast.AnnAssign)]
            targets = [node.target if isinstance(node, ast.AnnAssign) else node.targets[0] for node in assigned]
            found = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
            assert name in found, f"docs/house.md: {file} has no {name}"

    def test_every_room_is_on_the_page(self) -> None:
        page = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
        rooms = {path.parent for _, path in modules() if path.parent.parent == PACKAGES["idn_gym"]}
        assert {room.name for room in rooms if f"`idn_gym/{room.name}`" not in page} == set()

    def test_extras_stay_behind_their_doors(self) -> None:
        """What comes with an extra is imported where it is needed; at once only by the modules about it."""
        graph = imports(inside=False)
        doors = [module for module in graph if re.fullmatch(DOORS, module)]
        assert doors
        for module, _ in modules():
            if module not in graph or module in doors:
                continue
            for other in nx.descendants(graph, module):
                if other.split(".")[0] in EXTRAS:
                    way = " -> ".join(nx.shortest_path(graph, module, other))
                    pytest.fail(f"{way}: imported at once, though it comes with an extra")


def python(code: str, cwd: Path = ROOT, **variables: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=environment() | variables,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestFreshProcess:
    def test_import_is_light(self) -> None:
        """`import idn_gym` loads nothing heavy, and compiles nothing."""
        loaded = python("import sys, idn_gym; print(*sys.modules)").split()
        assert "idn_gym" in loaded
        assert "gymnasium" in loaded  # registers the ids
        assert not set(loaded) & {*EXTRAS, "numba", "llvmlite", "scipy", "networkx", "pandas", "idn_agents"}

    def test_core_works_without_extras(self) -> None:
        """An environment and a run with all extras out of reach."""
        code = f"""
import sys
sys.modules.update(dict.fromkeys({EXTRAS!r}))
import gymnasium, idn_gym
env = gymnasium.make("IDN/Tiny-v0")
env.reset(seed=0)
print(env.step(env.action_space.sample() * 0)[1])
from idn_gym import cli
sys.argv = ["idn-gym", "run", "tiny", "--slots", "3", "--json", "--agent", "infida", "--agent", "load-aware-greedy"]
cli.main()
"""
        reward, document = python(code).splitlines()
        assert float(reward) == 0.0  # nothing placed, nothing gained
        assert document.startswith('{"scenario": "tiny", "slots": 3')


class TestDocstrings:
    @pytest.mark.parametrize(("name", "path"), list(modules()), ids=[name for name, _ in modules()])
    def test_public_names(self, name: str, path: Path) -> None:
        """Every module, and every function and class that others may use."""
        if path.name == "__init__.py" and not tree(path).body:
            return
        assert ast.get_docstring(tree(path)), f"{name} has no docstring"
        for node in tree(path).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{name}.{node.name} has no docstring"


class TestEntryPoints:
    @pytest.mark.parametrize("name", PROJECT["entry-points"]["idn_gym.agents"])
    def test_agent(self, name: str) -> None:
        """Registered agents are agents, and say whether they act in hindsight."""
        from idn_agents.agent import Agent

        from idn_gym import plugins

        agent = plugins.make_agent(name, {})
        assert isinstance(agent, Agent)
        in_hindsight = name in ("infida-offline", "static-greedy", "optimum", "dynamic-optimum", "law-aware")
        assert getattr(agent, "hindsight", False) is in_hindsight
        assert callable(getattr(agent, "fit", None)) is in_hindsight

    def test_users_know_them_by_name(self) -> None:
        """A name that docs and users rely on stays."""
        agents = (
            "infida infida-offline static-greedy load-aware-greedy last-batch-greedy optimum random repository-only"
        )
        assert set(agents.split()) <= set(PROJECT["entry-points"]["idn_gym.agents"])
        assert "optimum" in PROJECT["entry-points"]["idn_gym.commands"]
        assert PROJECT["scripts"] == {"idn-gym": "idn_gym.cli:main"}

    @pytest.mark.parametrize("target", PROJECT["entry-points"]["idn_gym.commands"].values())
    def test_command(self, target: str) -> None:
        module, _, name = target.partition(":")
        assert callable(getattr(import_module(module), name))


class TestWheel:
    @pytest.fixture(scope="class")
    @classmethod
    def wheel(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The wheel, built without a network."""
        if find_spec("hatchling") is None:
            pytest.skip("hatchling, which builds the wheel, is not installed")
        folder = tmp_path_factory.mktemp("wheel")
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment(),
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (built,) = folder.glob("*.whl")
        return built

    @pytest.fixture
    def names(self, wheel: Path) -> set[str]:
        """Every file in it."""
        with zipfile.ZipFile(wheel) as archive:
            return set(archive.namelist())

    def text(self, wheel: Path, name: str) -> str:
        """A file of the wheel's own folder."""
        with zipfile.ZipFile(wheel) as archive:
            (path,) = [path for path in archive.namelist() if path.endswith(f".dist-info/{name}")]
            return archive.read(path).decode()

    def test_packages(self, names: set[str]) -> None:
        """Every module, scenario and marker of both packages, and nothing else."""
        expected, kinds = set(), ("*.py", "py.typed", "*.yaml", "*.csv", "*.json", "*.pt", "*.html", "*.css", "*.js")
        for package, folder in PACKAGES.items():
            sources = [path for pattern in kinds for path in folder.rglob(pattern)]
            expected |= {f"{package}/{path.relative_to(folder).as_posix()}" for path in sources}
        assert {"idn_gym/py.typed", "idn_agents/py.typed", "idn_gym/library/scenarios/tiny.yaml"} <= expected
        assert len([name for name in expected if name.startswith("idn_gym/library/scenarios/")]) >= 9
        assert expected <= names
        own = {name for name in names - expected if ".dist-info/" not in name}
        assert not {name for name in own if name.endswith((".pyc", ".nbi", ".nbc")) or "__pycache__" in name}
        assert {name.split("/")[0] for name in own} <= set(PACKAGES), "tests, benchmarks and notebooks stay at home"

    def test_entry_points(self, wheel: Path) -> None:
        parser = configparser.ConfigParser(delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read_string(self.text(wheel, "entry_points.txt"))
        found: dict[str, Any] = {section: dict(parser[section]) for section in parser.sections()}
        assert found.pop("console_scripts") == PROJECT["scripts"]
        assert found == PROJECT["entry-points"]

    def test_metadata(self, wheel: Path) -> None:
        lines = self.text(wheel, "METADATA").splitlines()
        assert "Name: idn-gym" in lines
        assert "Requires-Python: >=3.11" in lines
        extras = {line.partition(": ")[2] for line in lines if line.startswith("Provides-Extra")}
        assert {"optimum", "plots", "torch", "rl", "test", "all"} <= extras
        needed = [line for line in lines if line.startswith("Requires-Dist") and "extra ==" not in line]
        for package in EXTRAS:
            assert not any(package.replace("_", "-") in line for line in needed), f"{package} is no core dependency"

    def test_the_readme_of_an_index_needs_no_file_beside_it(self, wheel: Path) -> None:
        """What shows it there has no such file: links and pictures lead to the source, or within the page."""
        body = self.text(wheel, "METADATA").partition("\n\n")[2]
        links = re.findall(r"\]\(([^)]+)\)", body)
        assert len(links) == len(re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
        assert [link for link in links if not link.startswith(("https://", "#"))] == []

    def test_it_works_unpacked(self, wheel: Path, tmp_path: Path) -> None:
        """Scenarios are found beside the code, wherever that is."""
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path)
        code = """
import idn_gym, idn_agents.baselines
from idn_gym.library.names import packaged_names
print(idn_gym.__file__, idn_agents.__file__, *packaged_names(), idn_gym.load_scenario("tiny").name, sep="\\n")
"""
        first, second, *names, name = python(code, cwd=tmp_path, PYTHONPATH=str(tmp_path)).split("\n")[:-1]
        assert Path(first).is_relative_to(tmp_path)
        assert Path(second).is_relative_to(tmp_path)
        assert set(names) == {path.stem for path in (ROOT / "idn_gym" / "library" / "scenarios").glob("*.yaml")}
        assert name == "tiny"
