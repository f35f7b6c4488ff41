"""The pictures of the README and of docs/house.md: ``python docs/pictures.py`` writes them beside this file."""

from __future__ import annotations

import ast
from pathlib import Path

import gymnasium
import networkx as nx
from idn_agents.greedy import LastBatchGreedy
from PIL import Image

import idn_gym  # noqa: F401 - registers the ids
from idn_gym.common.colours import FAINT, INK
from idn_gym.common.figures import new_figure, save

HERE = Path(__file__).parent
PACKAGES = {"idn_gym": HERE.parent / "idn_gym", "idn_agents": HERE.parent / "agents" / "idn_agents"}


def main() -> None:
    """Write all of them."""
    topology()
    house()


def topology() -> None:
    """Render Topology I after ten slots of last-batch greedy."""
    env = gymnasium.make("IDN/TopologyI-Sliding-v0", render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    agent = LastBatchGreedy()
    agent.reset(env.unwrapped.network, seed=0)
    for _ in range(10):
        observation, *_ = env.step(agent.act(observation))
    Image.fromarray(env.render()).quantize(256).save(HERE / "topology-1.png", optimize=True)


def rooms() -> nx.DiGraph[str]:
    """Which room imports which: packages of idn_gym, and idn_agents as one."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            here = _room(package, path.relative_to(folder).parts)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += (
                    [f"{node.module}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
                )
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                for name in names:
                    top, *rest = name.split(".")
                    there = _room(top, (*rest, "")) if top in PACKAGES else None
                    if here and there and here != there:
                        graph.add_edge(here, there)
    return graph


def house() -> None:
    """Draw the rooms on floors, the imports that no others imply as arrows."""
    graph = rooms()
    shown = nx.transitive_reduction(graph)
    floor = {room: len(nx.dag_longest_path(graph.subgraph({room} | nx.descendants(graph, room)))) - 1 for room in graph}
    aside = {"library": 0.14, "batched": 0.86, "idn_agents": 0.86, "reproduce": 0.14, "testing": 0.24}
    place = {room: (aside.get(room, 0.5), float(level)) for room, level in floor.items()}
    floors = max(floor.values()) + 1
    figure = new_figure(720, 58 * floors, dpi=120)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    axes.set_axis_off()
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(-0.5, floors - 0.5)
    boxes = {}
    for room, (x, y) in place.items():
        box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": FAINT, "linewidth": 1.5}
        boxes[room] = axes.text(x, y, room, color=INK, fontsize=11, ha="center", va="center", bbox=box)
    figure.draw_without_rendering()  # fixes where the boxes are, at whose edges arrows begin and end
    for above, below in shown.edges:
        ends = {"patchA": boxes[above].get_bbox_patch(), "patchB": boxes[below].get_bbox_patch()}
        arrow = {"arrowstyle": "-|>", "color": "#888888", "shrinkA": 3.0, "shrinkB": 3.0, "linewidth": 1.2}
        axes.annotate("", place[below], place[above], arrowprops=arrow | ends)
    save(figure, HERE / "house.png")


def _room(package: str, parts: tuple[str, ...]) -> str | None:
    """The room of a module; what stands at the top of idn_gym is in none."""
    if package == "idn_agents":
        return "idn_agents"
    return parts[0] if len(parts) > 1 and (PACKAGES["idn_gym"] / parts[0]).is_dir() else None


if __name__ == "__main__":
    main()
