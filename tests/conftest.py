"""What all tests share: hypothesis runs the same examples every time, and never fails for being slow.

What it draws is small as it is, and shrinking a failure further may take minutes: it is shown as it was drawn.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "fixed",
    max_examples=60,
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fixed")
os.environ.pop("COLUMNS", None)  # workers of pytest-xdist have one; tables are as wide as what they hold, then
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a job in the background, and so of all that tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"


@pytest.fixture(params=["one-station", "two-stations", "city"])
def golden(request: pytest.FixtureRequest) -> Path:
    """Folder of a case computed by an oracle that shares nothing with this project."""
    folder = GOLDEN / request.param
    if not folder.is_dir():
        pytest.skip(f"no golden case {request.param}: {folder} is kept outside the repository")
    return folder
