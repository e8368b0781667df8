"""Which files of a folder are cards."""

from __future__ import annotations

import json
from pathlib import Path

from safebench.checks.discover import find_cards


def test_json_that_tells_of_cards_is_no_card(tmp_path: Path) -> None:
    spec = {"spec": "safebench/1.0"}
    (tmp_path / "list.json").write_text(json.dumps([spec]))
    (tmp_path / "report.json").write_text(json.dumps({"files": [{"path": "card.yaml", **spec}]}))
    (tmp_path / "other.json").write_text(json.dumps({"spec": "other/1.0", "card": spec}))
    (tmp_path / "one.json").write_text(json.dumps({"title": "a card", **spec}))
    (tmp_path / "broken.json").write_text('{"spec": "safebench/1.0", "data": ')
    assert [path.name for path in find_cards(tmp_path)] == ["broken.json", "one.json"]
