"""The published board: rebuilt from its evidence, and what is told of it follows from that."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.card.io import load_card
from tests.conftest import ROOT
from tests.leaderboard import make_expected

STUDIES = ROOT / "leaderboard" / "studies"
MOST_BYTES = 6 * 2**20
EXPECTED: dict[str, Any] = json.loads(make_expected.EXPECTED.read_text())


def test_evidence_gives_the_committed_numbers(tmp_path: Path) -> None:
    found = {row["id"]: make_expected.numbers(row) for row in make_expected.build_copy(tmp_path)}
    for expected in EXPECTED["submissions"]:
        row = found.pop(expected["id"])
        for name, value in expected.items():
            same = pytest.approx(value, abs=2e-6) if name in make_expected.NUMBERS else value
            assert row[name] == same, (expected["id"], name)
    assert not found


def test_evidence_has_the_committed_bytes() -> None:
    assert make_expected.evidence() == EXPECTED["evidence"]


def test_evidence_is_small_and_holds_no_weights_or_texts() -> None:
    names = EXPECTED["evidence"]
    assert sum((make_expected.BOARD / name).stat().st_size for name in names) < MOST_BYTES
    allowed = r"(card\.yaml|manifest\.json|outcomes\.parquet|verdict\.json|data/[\w-]+\.jsonl)"
    assert not [name for name in names if not re.search(rf"/{allowed}$", name)]


def test_cards_name_no_place_of_the_machine_that_made_them() -> None:
    for card in (make_expected.BOARD / "submissions").rglob("card.yaml"):
        assert not re.search(r"(?<![\w.:/])/(work|home|tmp|root|Users)/", card.read_text()), card


def test_every_verdict_of_a_rerun_is_on_the_board() -> None:
    words = {
        row["verdict"]
        for path in (make_expected.BOARD / "submissions").glob("*/reruns/*/verdict.json")
        for row in json.loads(path.read_text())["verdicts"]
    }
    assert {"reproduced", "inconclusive", "not_reproduced"} <= words


def test_a_study_is_made_from_the_plan_that_its_card_has() -> None:
    plan_of = runpy.run_path(str(STUDIES / "make.py"))["plan_of"]
    own = [path.stem for path in STUDIES.glob("*.yaml") if path.stem not in ("studies", "tiny")]
    assert own
    for name in [*yaml.safe_load((STUDIES / "studies.yaml").read_text()), *own]:
        plan = plan_of(name)
        card = load_card(make_expected.BOARD / "submissions" / name / "card.yaml")
        assert card.submission.id == name == plan["submission"]["id"]
        assert card.submission.title == plan["submission"]["title"]
        assert card.hyperparameters.learning_rate == float(plan["hyperparameters"]["learning_rate"])
        seeds = plan["seeds"]["training"]
        assert len(card.seeds.training) == (seeds if isinstance(seeds, int) else len(seeds))
        assert [d.name for d in card.decoding] == [d["name"] for d in plan["decoding"]]


def test_findings_have_the_numbers_of_the_evidence() -> None:
    findings = runpy.run_path(str(STUDIES / "findings.py"))
    page = findings["PAGE"].read_text()
    assert set(re.findall(r"<!-- (\w+) -->", page)) - {"end"} == set(findings["TABLES"])
    assert findings["filled"](page) == page


def test_real_seeds_are_described_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    real = runpy.run_path(str(ROOT / "benchmarks" / "real_seeds.py"))
    tuned, base = real["harm"]("tuned"), real["harm"]("base")
    text = (ROOT / "benchmarks" / "real_seeds.txt").read_text()
    assert all(line in text for line in real["described"](tuned, base))
    assert real["picture"](tuned, base) == (ROOT / "docs" / "one-seed.svg").read_text()
    replayed = [found.text() for found in real["single"](tuned)]
    assert all(line in text for line in replayed)


def test_training_data_are_what_the_script_writes() -> None:
    for name, text in runpy.run_path(str(STUDIES / "data.py"))["files"]().items():
        assert (STUDIES / name).read_text() == text
