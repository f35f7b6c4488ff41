"""Offline data: episodes of any agents as a Minari dataset, and reading it back for what learns from one."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import gymnasium
import numpy as np

from idn_gym.common.extras import require
from idn_gym.common.text import shown
from idn_gym.env.vector_env import IDNVectorEnv
from idn_gym.errors import IdnError
from idn_gym.experiment.play import integral, named, silent
from idn_gym.experiment.spec import AgentSpec, refuse_network, spec_of
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.model.placements import refuse_over_budget
from idn_gym.scenario import Scenario, parse
from idn_gym.scenario.workloads import Replay
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.stream import draw, replayed
from idn_gym.workload.trace import Trace

_AT_ONCE = 16  # episodes of an agent that are played together
_STORE = "MINARI_DATASETS_PATH"  # where Minari looks for datasets

Progress = Callable[[str, int, int], None]  # agent, slots played, slots in all
Observations = dict[str, FloatArray | IntArray]


@dataclass(frozen=True)
class Episodes:
    """What a dataset holds, episode by episode; the observations are those of `IDNEnv`, T + 1 of them."""

    scenario: Scenario
    reward: str  # gain or gain_per_request
    update_weight: float  # reward lost per MB
    observations: list[Observations]  # requests (T + 1, R), capacities and allocation (T + 1, P)
    rewards: list[FloatArray]  # (T,)

    @property
    def slots(self) -> int:
        """Slots in all."""
        return sum(len(rewards) for rewards in self.rewards)


def write(
    scenario: Scenario,
    agents: Sequence[AgentSpec | str | Any],
    folder: Path,
    name: str,
    *,
    episodes: int,
    slots: int | None = None,
    seed: int = 0,
    reward: str = "gain_per_request",
    update_weight: float = 0.0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Play episodes of each agent and write them as a Minari dataset.

    Episode i of every agent has the stream of ``env.reset(seed=seed + i)``, and the agent the same seed; agents in
    hindsight have seen it. Episodes of one seed stand together, in the order of the agents. Observations, actions,
    rewards, information and the specification of the environment are those of the registered scalar environment.

    Parameters
    ----------
    folder : Minari's store: to load the dataset, ``MINARI_DATASETS_PATH`` must be this folder.
    name : of the dataset, ``namespace/name-vN``.
    episodes : of each agent.
    slots : of an episode; default: the scenario's horizon.

    Returns
    -------
    Its name, and per agent the number of episodes and the mean reward of a slot.

    Raises
    ------
    IdnError
        If Minari is not installed, the name is none or taken, or an agent refuses the network or fails. Nothing is
        written then.
    """
    require("offline", "datasets", "minari")
    import minari

    specs = [spec_of(agent) for agent in agents]
    final = _place(folder, name)
    arguments: dict[str, Any] = {
        "scenario": scenario,
        "horizon": slots,
        "reward": reward,
        "update_weight": update_weight,
    }
    env: Any = gymnasium.make("IDN/Scenario-v0", **arguments)
    for spec in specs:
        refuse_network(spec, spec.make(), env.unwrapped.network)
    rewards: dict[str, list[float]] = {str(spec): [] for spec in specs}
    dataset = None
    with _store_beside(folder) as store:
        for first in range(0, episodes, _AT_ONCE):
            seeds = range(seed + first, seed + min(first + _AT_ONCE, episodes))
            played = [list(_episodes(spec, seeds, arguments, progress)) for spec in specs]
            together = [each[i] for i in range(len(seeds)) for each in played]
            for spec, each in zip(specs, played, strict=True):
                rewards[str(spec)] += [float(np.mean(episode["rewards"])) for episode in each]
            buffers = [minari.data_collector.EpisodeBuffer(**episode) for episode in together]
            if dataset is None:
                about = {"algorithm_name": ", ".join(rewards), "description": f"{scenario.name}: {', '.join(rewards)}"}
                with warnings.catch_warnings():  # of what is not said: an author, a link to code
                    warnings.simplefilter("ignore")
                    dataset = minari.create_dataset_from_buffers(name, buffers, env=env, data_format="hdf5", **about)
            else:
                dataset.storage.update_episodes(buffers)
        final.parent.mkdir(parents=True, exist_ok=True)
        os.replace(store / name, final)
        for above in Path(name).parents[:-1]:  # what Minari notes of a namespace
            for file in (store / above).glob("*.json"):
                if not (folder / above / file.name).exists():
                    shutil.copy(file, folder / above / file.name)
    return {
        "dataset": name,
        "agents": [
            {"agent": agent, "episodes": len(means), "reward": float(np.mean(means))}
            for agent, means in rewards.items()
        ],
    }


def read(folder: Path, name: str) -> Episodes:
    """The episodes of a dataset, of this module's or of Minari's `DataCollector` around an environment of ours.

    What was placed in slot t is what the observation after it shows: an action may have been repaired.

    Parameters
    ----------
    folder : Minari's store.
    name : of the dataset, ``namespace/name-vN``.

    Raises
    ------
    IdnError
        If Minari is not installed, there is no such dataset, it cannot be read, it is of another environment, its
        observations are not of the network in it, or its reward is none of `IDNEnv`'s two sums.
    """
    require("offline", "datasets", "minari")
    import minari

    _refuse_no_name(name)
    where = folder / name
    if not where.is_dir():
        raise IdnError(f"{where}: is not there; must be a dataset that `idn-gym dataset` wrote to {folder}")
    with _store(folder):
        try:
            dataset = minari.load_dataset(name)
            spec = dataset.spec.env_spec
            episodes = list(dataset.iterate_episodes())
        except Exception as error:  # whatever code meets that builds on what a file says
            says = str(error).splitlines() or [type(error).__name__]
            raise IdnError(f"{where}: not a dataset that Minari can read: {says[0][:120]}") from None
    arguments = {} if spec is None else spec.kwargs
    given = arguments.get("scenario")
    if spec is None or not spec.id.startswith("IDN/") or not isinstance(given, str | dict):
        raise IdnError(f"{where}: of environment {shown(spec and spec.id)}; must be one of idn_gym with a scenario")
    scenario = load_scenario(given) if isinstance(given, str) else parse(given, str(where))
    reward = arguments.get("reward", "gain")
    if reward not in ("gain", "gain_per_request"):
        raise IdnError(f"{where}: reward {shown(reward)}; allowed: gain, gain_per_request")
    network = Network.compile(scenario)
    found = Episodes(scenario, reward, float(arguments.get("update_weight", 0.0)), [], [])
    for episode in episodes:
        found.observations.append(_observed(network, episode, f"{where}, episode {episode.id}"))
        found.rewards.append(np.asarray(episode.rewards, dtype=np.float64))
    if not found.slots:
        raise IdnError(f"{where}: holds no slots")
    return found


def _observed(network: Network, episode: Any, source: str) -> Observations:
    """The three parts of an episode's observations, or an `IdnError`: they are not of the network."""
    seen, slots = episode.observations, len(episode.rewards)
    if not np.isfinite(np.asarray(episode.rewards, dtype=np.float64)).all():
        raise IdnError(f"{source}: rewards: must be finite numbers")
    observations: Observations = {}
    for key, width in (("requests", network.R), ("capacities", network.P), ("allocation", network.P)):
        if not isinstance(seen, dict) or key not in seen:
            raise IdnError(f"{source}: observations without {key}; must be those of the environment itself")
        values = np.asarray(seen[key])
        if values.shape != (slots + 1, width):
            raise IdnError(
                f"{source}: {key}: shape {values.shape}; of {network.scenario.name} must be {(slots + 1, width)}"
            )
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise IdnError(f"{source}: {key}: must be finite and at least 0")
        observations[key] = values
    if (observations["allocation"] > 1).any():
        raise IdnError(f"{source}: allocation: must be 0 or 1")
    for allocation in np.unique(observations["allocation"], axis=0):
        in_use = np.bincount(network.placement_node, network.sizes * allocation, network.V)
        refuse_over_budget(network, in_use, f"{source}: allocation", "holds")
    return observations


def _episodes(
    spec: AgentSpec, seeds: Sequence[int], arguments: dict[str, Any], progress: Progress
) -> Iterator[dict[str, Any]]:
    """Episodes of an agent, one per seed, all played together in the vector environment."""
    env = IDNVectorEnv(num_envs=len(seeds), autoreset_mode="Disabled", infeasible="raise", **arguments)
    network, horizon = env.network, env.horizon
    seen, told = env.reset(seed=list(seeds))
    agents = []
    for number in seeds:
        agent = spec.make()
        with named(spec, "reset"):
            agent.reset(network, number)
        if getattr(agent, "hindsight", False):
            with named(spec, "fit"):
                agent.fit(_stream(network, horizon, number))
        agents.append(agent)
    observations, informations = [seen], [told]
    actions, rewards = [], []
    for slot in range(horizon):
        rows = [{key: values[b] for key, values in seen.items()} for b in range(len(seeds))]
        with named(spec, "act", slot):
            chosen = [agent.act(row) for agent, row in zip(agents, rows, strict=True)]
        allocations = np.stack([integral(network, spec, slot, each) for each in chosen])
        try:
            seen, reward, _, _, told = env.step(allocations)
        except IdnError as error:
            raise IdnError(f"agent {spec}, slot {slot}: {error}") from None
        observations.append(seen)
        informations.append(told)
        actions.append(allocations)
        rewards.append(reward)
        progress(str(spec), slot + 1, horizon)
    over = [False] * (horizon - 1) + [True]
    for b, number in enumerate(seeds):
        yield {
            "seed": int(number),
            "observations": {key: np.stack([each[key][b] for each in observations]) for key in seen},
            "actions": np.stack([each[b] for each in actions]),
            "rewards": [float(each[b]) for each in rewards],
            "terminations": [False] * horizon,
            "truncations": over,
            "infos": {
                key: np.stack([each[key][b] for each in informations]) for key in told if not key.startswith("_")
            },
        }


def _stream(network: Network, horizon: int, seed: int) -> Trace:
    """What the environment, reset with a seed, serves in an episode."""
    if isinstance(network.scenario.workload, Replay):
        return replayed(network).part(0, horizon)
    return draw(network, horizon, seed)


def _place(folder: Path, name: str) -> Path:
    """Where the dataset will be, or an `IdnError`: the name is none, or taken."""
    _refuse_no_name(name)
    if folder.exists() and not folder.is_dir():
        raise IdnError(f"{folder}: a file; must be a folder, Minari's store of datasets")
    if (folder / name).exists():
        raise IdnError(f"{folder / name}: is there already; give another --name or --output")
    return folder / name


def _refuse_no_name(name: str) -> None:
    import minari.dataset.minari_dataset as names

    try:
        names.parse_dataset_id(name)
    except (ValueError, TypeError):  # the latter where it has no version
        raise IdnError(f"dataset {shown(name)}: must be namespace/name-vN, for example idn/tiny-v0") from None


@contextmanager
def _store_beside(folder: Path) -> Iterator[Path]:
    """A store of its own for Minari meanwhile, on the file system of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Path(mkdtemp(prefix=".part-", dir=folder)).absolute()  # it joins what is relative twice
    try:
        with _store(store):
            yield store
    finally:
        shutil.rmtree(store, ignore_errors=True)


@contextmanager
def _store(folder: Path) -> Iterator[None]:
    """Let Minari look for its datasets in a folder meanwhile."""
    before = os.environ.get(_STORE)
    os.environ[_STORE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_STORE]
        else:
            os.environ[_STORE] = before
