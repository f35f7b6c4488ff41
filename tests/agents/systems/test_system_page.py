"""What ``idn-gym report`` shows of a folder of ``idn-gym system run``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from idn_agents.systems.running import page
from system_line import called

from idn_gym.errors import IdnError


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("systems") / "heet"
    called("run", "heet", "--output", folder)
    return folder


def test_policies_claims_and_picture(record: Path) -> None:
    part = page.part(record)
    assert part is not None
    policies, claims = (table.plain() for table in part.tables)
    printed = called("run", "heet")
    assert all(cell in printed for row in policies.rows for cell in row), "as on the command line"
    written = json.loads((record / "system.json").read_text())
    assert [row[0] for row in claims.rows] == [claim["text"] for claim in written["claims"]]
    assert [picture.path for picture in part.pictures] == [record / "heet.png"]
    assert part.versions == written["versions"]


def test_one_that_is_not_complete(record: Path, tmp_path: Path) -> None:
    """What is there is shown, and what is missing said."""
    about = json.loads((record / "system.json").read_text())
    del about["claims"]
    (tmp_path / "system.json").write_text(json.dumps(about))
    with pytest.raises(IdnError, match="no policy has a result there yet"):
        page.part(tmp_path)
    (tmp_path / "measures.csv").write_bytes((record / "measures.csv").read_bytes())
    part = page.part(tmp_path)
    assert part is not None
    assert len(part.tables) == 1
    assert part.notes == ["The run is not complete: its claims are not decided."]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [("system", "hert", "did you mean 'heet'"), ("claims", [{"text": "x"}], "claims"), ("format", "x", "format 'x'")],
)
def test_a_damaged_one_is_refused(key: str, value: object, says: str, record: Path, tmp_path: Path) -> None:
    about = json.loads((record / "system.json").read_text())
    (tmp_path / "system.json").write_text(json.dumps({**about, key: value}))
    (tmp_path / "measures.csv").write_bytes((record / "measures.csv").read_bytes())
    with pytest.raises(IdnError, match=says):
        page.part(tmp_path)


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    assert page.part(tmp_path) is None
