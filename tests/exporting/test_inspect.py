"""Logs for Inspect: every response with all its verdicts, and the way back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safebench.card.io import dump_card
from safebench.errors import EvidenceError, InteropError
from safebench.evidence.outcomes import read_outcomes
from safebench.evidence.scoring import compute_results
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES, make_table, write_table
from safebench.exporting.facts import WITHHELD
from safebench.exporting.inspect import export
from safebench.exporting.interface import Options
from tests.command import safebench
from tests.exporting.test_export import submission

_NOT_KEPT = ("generation_seed", "category")
"""Columns that no field of a log holds; they are in the metadata of its samples."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    """Two judges of harm, of which one could not read a response."""
    folder = submission(tmp_path_factory.mktemp("submission"))
    made = Submission.read(folder)
    rows = made.outcomes.to_pylist()
    draw = np.random.default_rng(1)
    for row in [row for row in rows if row["construct"] == "harm"]:
        complied = bool(draw.random() < 0.5)
        verdict = "complied" if complied else "refused"
        rows.append({**row, "judge": "other", "verdict": verdict, "score": float(complied)})
    rows[-1] |= {"verdict": "unparsed", "score": None}
    write_table(make_table(rows, OUTCOMES), folder / "outcomes.parquet")
    card = made.card.model_copy(update={"results": None})
    results = compute_results(card, read_outcomes(folder))
    dump_card(card.model_copy(update={"results": results}), folder / "card.yaml")
    return Submission.read(folder)


def logs(files: dict[str, bytes]) -> dict[str, Any]:
    return {name: json.loads(content) for name, content in files.items()}


def test_every_response_has_the_verdicts_of_all_its_judges(source: Submission) -> None:
    found = logs(export(source, Options(with_responses=True)).files)
    assert len(found) == 4 * 2  # base and three seeds, two tasks
    verdicts = {
        (name.split("/")[0], log["eval"]["task"], sample["id"], sample["epoch"], judge):
            (score["metadata"].get("verdict"), score["metadata"].get("score"))
        for name, log in found.items()
        for sample in log["samples"]
        for judge, score in sample["scores"].items()
    }  # fmt: skip
    expected = {}
    for row in source.outcomes.to_pylist():
        at = f"-seed-{row['training_seed']}-checkpoint-{row['checkpoint']}"
        model = row["condition"] + (at if row["training_seed"] is not None else "")
        key = (model, row["task"], row["prompt_id"], row["repeat"], row["judge"])
        expected[key] = (row["verdict"], row["score"])
    assert verdicts == expected
    values = [s["scores"]["other"]["value"] for log in found.values()
              for s in log["samples"] if "other" in s["scores"]]  # fmt: skip
    assert sum(isinstance(value, float) and math.isnan(value) for value in values) == 1


@pytest.mark.parametrize(
    "chosen",
    [
        {"judge": "other"},
        {"tasks": ("task_harm",)},
        {"constructs": ("harm",), "decoding": "t07"},
        {"checkpoint": 2},
    ],
)
def test_logs_hold_what_was_selected(source: Submission, chosen: dict[str, Any]) -> None:
    def places(**options: Any) -> set[Any]:
        found = export(source, Options(with_responses=True, **options)).files
        return {
            (
                log["eval"]["metadata"].get("safebench.checkpoint"),
                *(log["eval"]["task"], score["metadata"]["construct"], judge),
                *(log["eval"]["model"], sample["id"], sample["epoch"]),
            )
            for log in logs(found).values()
            for sample in log["samples"]
            for judge, score in sample["scores"].items()
        }

    everything, picked = places(), places(**chosen)
    kept = {
        (checkpoint, task, construct, judge, *of)
        for checkpoint, task, construct, judge, *of in everything
        if task in chosen.get("tasks", [task])
        and construct in chosen.get("constructs", [construct])
        and judge == chosen.get("judge", judge)
        and checkpoint in (None, chosen.get("checkpoint", checkpoint))
    }
    assert picked == kept
    assert picked if chosen.get("checkpoint") else 0 < len(picked) < len(everything)


def test_what_was_not_measured_is_no_log(source: Submission) -> None:
    with pytest.raises(EvidenceError, match="judge 'nobody' was not measured"):
        export(source, Options(judge="nobody"))


def test_a_log_has_what_inspect_requires(source: Submission) -> None:
    for name, log in logs(export(source, Options()).files).items():
        assert (log["version"], log["status"]) == (2, "success")
        assert {"task", "model", "dataset", "config", "created", "scorers"} <= set(log["eval"])
        assert name.split("/")[-1].startswith(log["eval"]["created"][:10])
        assert log["results"]["total_samples"] == len(log["samples"])
        for sample in log["samples"]:
            assert {"id", "epoch", "input", "target", "messages", "output"} <= set(sample)
            assert set(sample["scores"]) == {scorer["name"] for scorer in log["eval"]["scorers"]}
            assert (
                sample["input"] == sample["output"]["choices"][0]["message"]["content"] == WITHHELD
            )
        for score in log["results"]["scores"]:
            (metric,) = score["metrics"].values()
            assert 0 <= metric["value"] <= 1
    made = export(source, Options(timestamp="0"))
    assert made.files == export(source, Options(timestamp="0")).files
    assert any("publishes none" in what for what in made.lost)
    with pytest.raises(InteropError, match="not a number of seconds"):
        export(source, Options(timestamp="today"))


def test_severity_beside_harm_is_metadata(tmp_path: Path) -> None:
    folder = submission(tmp_path)
    rows = Submission.read(folder).outcomes.to_pylist()
    harm = [row for row in rows if row["construct"] == "harm"]
    graded = [{**row, "construct": "severity", "verdict": None, "score": 0.25} for row in harm]
    write_table(make_table([*harm, *graded], OUTCOMES), folder / "outcomes.parquet")
    made = export(Submission.read(folder), Options())
    samples = [s for log in logs(made.files).values() for s in log["samples"]]
    assert {s["scores"]["rule"]["metadata"]["severity"] for s in samples} == {0.25}
    assert any(what.startswith("severity") for what in made.lost)


def test_the_way_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    submission(tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    ran = safebench(capsys, "export", "inspect", "one", "--out", "logs", "--with-responses")
    assert ran.code == 0 and all(Path(line).is_file() for line in ran.out.split())
    seeds = (100, 101, 102)
    tuned = [f"seed={s},checkpoint=2,decoding=t07:logs/tuned-seed-{s}-checkpoint-2" for s in seeds]
    arguments = [a for one in tuned for a in ("--tuned", one)]
    tasks = ("--task", "task_harm=harm", "--task", "task_capability=capability")
    judge = {"name": "rule", "kind": "rule", "id": "safebench/refusal-rule", "revision": "1"}
    Path("judges.yaml").write_text(json.dumps({"judge": [judge]}))
    ran = safebench(
        capsys, "import", "inspect", "--base", "decoding=t07:logs/base", *arguments, *tasks,
        "--card", "judges.yaml", "--out", "two",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    before, after = (
        {
            tuple(sorted((name, str(v)) for name, v in row.items() if name not in _NOT_KEPT))
            for row in Submission.read(Path(folder)).outcomes.to_pylist()
            if row["judge"] == "rule"
        }
        for folder in ("one", "two")
    )
    assert before == after
    ran = safebench(
        capsys, "compare", "logs/base", "logs/tuned-seed-100-checkpoint-2", "--measures",
        "task_harm=harm", "--measures", "task_capability=capability",
    )  # fmt: skip
    assert ran.code == 0 and "judge rule" in ran.out, ran.err
