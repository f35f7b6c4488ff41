"""What an extra brings is asked for in one line, with a command that works where it is typed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import PATIENCE, environment

from idn_gym.common import extras
from idn_gym.errors import IdnError

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

# door of an extra -> the module that is missing
DOORS = {"idn_gym.batched": "torch", "idn_gym.batched.serving": "torch", "idn_gym.sb3": "stable_baselines3"}


def test_what_is_installed_is_not_asked_for() -> None:
    extras.require("plots", "plots")


def test_a_checkout_installs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    with pytest.raises(IdnError, match=r'^optimum: needs the solver HiGHS; install it with: pip install -e "\.\[opt'):
        extras.require("optimum", "optimum")


def test_elsewhere_the_package_is_installed_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "idn_gym" / "common" / "extras.py"))
    with pytest.raises(IdnError, match=r'install it with: pip install "idn-gym\[optimum\]"$'):
        extras.require("optimum", "optimum")


def test_one_module_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    extras.require("rl", "train", "stable_baselines3")
    with pytest.raises(IdnError, match=r"^--tensorboard: needs TensorBoard; .*\[rl\]"):
        extras.require("rl", "--tensorboard", "tensorboard")


def test_extras_are_those_of_the_project() -> None:
    for extra, modules in extras._MODULES.items():
        listed = {re.split(r"[>=\[; ]", wanted)[0].replace("-", "_") for wanted in EXTRAS[extra]}
        assert set(modules) - {"torch"} <= listed, extra


@pytest.mark.parametrize(("door", "module"), DOORS.items())
def test_doors(door: str, module: str) -> None:
    """Importing what is about an extra, without it."""
    code = f"""
import sys
sys.modules[{module!r}] = None
from idn_gym.errors import IdnError
try:
    import {door}
except IdnError as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    assert re.match(r'idn_gym\.\w+: needs [\w-]+; install it with: pip install -e "\.\[\w+\]"', ran.stdout), ran.stderr
