"""`safebench run`: a filled card, honest evidence, the same bytes, resumed work."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from safebench.card.digest import derive_seeds, generation_seed
from safebench.card.io import load_card
from safebench.card.measured import complete_results
from safebench.evidence.outcomes import read_outcomes
from safebench.evidence.scoring import compute_results
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES, read_responses
from safebench.progress import Silent
from safebench.study import making as execution
from safebench.study.engines import Settings
from safebench.study.execute import execute
from safebench.study.plan import make_plan
from tests.command import safebench
from tests.plans import write_plan
from tests.tiny_runs import protocol

pytestmark = pytest.mark.slow
FINAL = ("card.yaml", "outcomes.parquet", "responses.parquet", "manifest.json")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was executed once."""
    folder = tmp_path_factory.mktemp("study")
    plan = write_plan(folder)
    execute(make_plan(protocol(plan), folder / "out"), folder / "out", Settings(), Silent())
    return folder


def test_every_cell_has_its_rows(done: Path) -> None:
    outcomes = read_outcomes(done / "out").to_pylist()
    base = 3 * 8 * (1 + 2)
    assert len(outcomes) == base + 2 * 2 * base
    for row in outcomes:
        assert (row["training_seed"] is None) == (row["condition"] == "base")
        assert (row["checkpoint"] is None) == (row["condition"] == "base")
        assert (row["generation_seed"] is None) == (row["decoding"] == "greedy")
        assert (row["verdict"] is None) == (row["construct"] == "capability")
        assert row["score"] in (0.0, 1.0)
    assert pq.read_schema(done / "out" / "outcomes.parquet").equals(OUTCOMES)


def test_base_and_tuned_are_asked_the_same_prompts(done: Path) -> None:
    prompts: dict[object, set[tuple[str, str]]] = {}
    for row in read_responses(done / "out").to_pylist():
        key = (row["condition"], row["training_seed"], row["checkpoint"], row["decoding"])
        prompts.setdefault(key, set()).add((row["task"], row["prompt"]))
    assert len({frozenset(p) for p in prompts.values()}) == 1


def test_the_card_is_filled_and_its_numbers_are_those_of_the_evidence(done: Path) -> None:
    card = load_card(done / "out" / "card.yaml")
    assert complete_results(card) == compute_results(card, read_outcomes(done / "out"))
    assert card.seeds.training == derive_seeds(card, 2)
    assert card.seeds.generation == generation_seed(card)
    assert card.model.base.revision.startswith("sha256:")
    assert len(card.model.weights) == 4
    assert card.environment.libraries["torch"]
    assert {e.construct for e in card.results.primary} == {"harm", "over_refusal", "capability"}
    manifest = json.loads((done / "out" / "manifest.json").read_text())
    rows = {f["path"]: f.get("rows") for f in manifest["files"]}
    assert rows["outcomes.parquet"] == len(read_outcomes(done / "out"))


def test_the_same_card_gives_the_same_bytes(done: Path, tmp_path: Path) -> None:
    again = tmp_path / "elsewhere"
    write_plan(again)
    card = load_card(again / "plan.yaml")
    execute(make_plan(Submission(card, again), again / "out"), again / "out", Settings(), Silent())
    for name in FINAL:
        assert (again / "out" / name).read_bytes() == (done / "out" / name).read_bytes(), name


def test_an_interrupted_run_goes_on(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = write_plan(tmp_path)
    real, calls = execution.generate, []

    def interrupted(*args: object, **kwargs: object) -> object:
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(execution, "generate", interrupted)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        execute(make_plan(protocol(plan), out), out, Settings(), Silent())
    assert not (out / "card.yaml").exists()
    execute(make_plan(protocol(plan), out), out, Settings(), Silent())
    assert len(calls) == 4 + 10 - 3  # 10 blocks, of which 3 were kept
    for name in FINAL:
        assert (out / name).read_bytes() == (done / "out" / name).read_bytes(), name
    lines = (out / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events.count("stopped") == 1
    assert events[-1] == "finished"


def test_score_prints_what_the_evidence_says(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = safebench(capsys, "score", done / "out", "--format", "json")
    card = load_card(done / "out" / "card.yaml")
    assert ran.code == 0
    assert json.loads(ran.out)["results"] == card.results.model_dump(mode="json")
    text = safebench(capsys, "score", done / "out", "--full").out
    assert "tuned, epoch 2, greedy" in text
    assert "change from base" in text
    assert "stability" in text


def test_rerun_gives_a_verdict_and_its_exit_code(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = ("--kind", "retrain", "--out", tmp_path / "again")
    ran = safebench(capsys, "rerun", done / "out", *again)
    assert ran.code == 2
    assert "--model" in ran.err  # the base model lies outside the submission
    ran = safebench(capsys, "rerun", done / "out", *again, "--model", done / "model")
    verdict = json.loads((tmp_path / "again" / "verdict.json").read_text())
    assert ran.code == 3
    assert verdict["overall"] == "no_verdict"
    assert "no verdict" in ran.out
    assert len(verdict["verdicts"]) == 3
    old, new = load_card(done / "out" / "card.yaml"), load_card(tmp_path / "again" / "card.yaml")
    assert not set(old.seeds.training) & set(new.seeds.training)
    assert old.seeds.generation != new.seeds.generation
    assert verdict["original"]["protocol"] == verdict["rerun"]["protocol"]


def test_a_finished_folder_is_not_overwritten(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (done / "out" / "card.yaml").read_bytes()
    ran = safebench(capsys, "run", done / "plan.yaml", "--out", done / "out")
    assert ran.code == 0
    assert "Finished earlier" in ran.out
    ran = safebench(capsys, "run", done / "plan.yaml", "--out", done / "out", "--limit", "3")
    assert ran.code == 2
    assert "already holds a finished submission of another card" in ran.err
    assert (done / "out" / "card.yaml").read_bytes() == before
