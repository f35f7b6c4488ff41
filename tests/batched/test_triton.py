"""The Triton kernels without a GPU: run in Triton's interpreter against the reference, and compiled for one.

In a process of their own: whether Triton interprets is settled when a kernel is defined.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("triton")

HERE = Path(__file__).parent


@pytest.mark.parametrize("script", ["triton_parity.py", "triton_compile.py"])
def test_kernels(script: str) -> None:
    environment = dict(os.environ)
    environment.pop("TRITON_INTERPRET", None)
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), environment.get("PYTHONPATH", "")])
    if script == "triton_parity.py":
        environment["TRITON_INTERPRET"] = "1"
    done = subprocess.run([sys.executable, str(HERE / script)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
