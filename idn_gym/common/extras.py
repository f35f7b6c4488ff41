"""Packages that extras install: what is missing is one line, with the command that installs it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from idn_gym.errors import IdnError

# extra -> the packages whose modules it brings
_MODULES = {
    "optimum": {"highspy": "the solver HiGHS"},
    "plots": {"matplotlib": "Matplotlib"},
    "report": {"plotly": "Plotly", "jinja2": "Jinja2"},
    "torch": {"torch": "PyTorch"},
    "gpu": {"torch": "PyTorch", "triton": "Triton"},
    "rl": {"stable_baselines3": "Stable-Baselines3", "sb3_contrib": "sb3-contrib", "tensorboard": "TensorBoard"},
    "ray": {"ray": "Ray"},
    "offline": {"minari": "Minari", "h5py": "h5py"},
    "multi-agent": {"pettingzoo": "PettingZoo"},
}


def require(extra: str, what: str, module: str = "") -> None:
    """Raise an `IdnError` that says how to install an extra, unless it is installed; nothing of it is imported.

    Parameters
    ----------
    what : needs it, as the message begins; empty: who passes the error on says so.
    module : of the extra, that is needed; default: all of them.
    """
    for name in [module] if module else _MODULES[extra]:
        if find_spec(name) is None:
            raise missing(extra, what, name)


def missing(extra: str, what: str, module: str, error: ImportError | None = None) -> IdnError:
    """The error about a module of an extra that cannot be imported; parameters as `require`."""
    why = f" ({error})" if error else ""
    who = f"{what}: " if what else ""
    return IdnError(f"{who}needs {_MODULES[extra][module]}; install it with: {_command(extra)}{why}")


def _command(extra: str) -> str:
    """What to type: in a checkout, pip would not find the package by its name."""
    checkout = (Path(__file__).resolve().parents[2] / "pyproject.toml").is_file()
    return f'pip install -e ".[{extra}]"' if checkout else f'pip install "idn-gym[{extra}]"'
