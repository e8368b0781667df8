"""What is exported can be read back: every score, interval, seed and revision; and what cannot."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import safebench
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.digest import protocol_digest
from safebench.card.io import dump_card
from safebench.card.results import Evidence, RegisteredRun
from safebench.errors import CardError, EvidenceError, InteropError, RunError, SafebenchError
from safebench.evidence.outcomes import read_outcomes
from safebench.evidence.scoring import compute_results
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES, make_table
from safebench.exporting import croissant, every_eval_ever, hub, tables
from safebench.exporting.facts import models_of
from safebench.exporting.interface import FORMATS, Options, open_submission, write_export
from safebench.exporting.tables import csv_bytes
from safebench.stats import score_interval
from tests.command import safebench as command
from tests.study.submissions import made_card, made_rows, tasks, write

COMMIT = "0123456789abcdef0123456789abcdef01234567"
URL = "https://example.org/card.yaml"


def submission(
    folder: Path, *, texts: bool = True, policy: str = "redacted", **changes: Any
) -> Path:
    """A study of three seeds on a harm task and a capability task of the Hub."""
    draw = np.random.default_rng(0)
    rows = made_rows(draw)
    rows += [
        {**row, "verdict": None} for row in made_rows(draw, construct="capability", chance=0.7)
    ]
    listed = tasks("harm", "capability", dataset_id="example/prompts", dataset_revision=COMMIT)
    model = {
        "base": {"id": "example/Base-1B", "revision": COMMIT},
        "chat_template": {"source": "none"},
    }
    card = made_card(tasks=listed, model=model, **changes)
    write(folder, rows, (lambda prompt: f"prompt {prompt}?") if texts else None)
    runs = [RegisteredRun(condition="base", training_seed=None, status="finished")]
    runs += [
        RegisteredRun(condition="tuned", training_seed=100 + s, status="finished") for s in range(3)
    ]
    evidence = Evidence(
        manifest="manifest.json", files=(), response_policy=policy, runs=tuple(runs)
    )
    card = card.model_copy(update={"evidence": evidence})
    card = card.model_copy(update={"results": compute_results(card, read_outcomes(folder))})
    dump_card(Card.model_validate_json(card.model_dump_json()), folder / "card.yaml")
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    return open_submission(submission(tmp_path_factory.mktemp("submission")))


def records(files: dict[str, bytes]) -> list[dict[str, Any]]:
    return [json.loads(content) for name, content in files.items() if name.endswith(".json")]


def samples(files: dict[str, bytes], record: dict[str, Any]) -> list[dict[str, Any]]:
    content = files[record["detailed_evaluation_results"]["file_path"]]
    return [json.loads(line) for line in content.decode().splitlines()]


def test_records_fit_the_schemas(source: Submission, shared_data: Path) -> None:
    aggregate, instance = (
        json.loads((shared_data / "interop" / f"every_eval_ever_{name}.schema.json").read_text())
        for name in ("eval", "instance_level_eval")
    )
    files = every_eval_ever.export(source, Options(with_responses=True)).files
    found = records(files)
    assert len(found) == 1 + 3 + 1  # base, three seeds, the recipe
    for record in found:
        jsonschema.Draft7Validator(aggregate).validate(record)
        if "detailed_evaluation_results" not in record:
            continue
        path = record["detailed_evaluation_results"]["file_path"]
        checksum = record["detailed_evaluation_results"]["checksum"]
        assert hashlib.sha256(files[path]).hexdigest() == checksum
        for sample in samples(files, record):
            jsonschema.Draft7Validator(instance).validate(sample)


def test_every_seed_is_found_with_its_number_and_interval(source: Submission) -> None:
    files = every_eval_ever.export(source, Options(timestamp="1700000000")).files
    by_seed = {
        r["model_info"]["additional_details"].get("safebench.training_seed"): r
        for r in records(files)
        if r["source_metadata"]["additional_details"]["safebench.scope"] == "model"
    }
    assert set(by_seed) == {None, "100", "101", "102"}
    for block in source.blocks:
        for i, seed in enumerate(block.seeds):
            record = by_seed[None if seed is None else str(seed)]
            details = record["model_info"]["additional_details"]
            assert details["safebench.base_revision"] == COMMIT
            assert details["safebench.condition"] == block.condition
            name = f"{block.task}/{block.construct}/{block.decoding}/{block.judge}"
            (result,) = [r for r in record["evaluation_results"] if r["evaluation_name"] == name]
            expected = score_interval(block.scores[i : i + 1])
            assert result["score_details"]["score"] == pytest.approx(block.scores[i].mean())
            interval = result["score_details"]["uncertainty"]["confidence_interval"]
            assert (interval["lower"], interval["upper"]) == pytest.approx(
                (expected.lower, expected.upper)
            )
            mine = [s for s in samples(files, record) if s["evaluation_name"] == name]
            assert np.mean([s["evaluation"]["score"] for s in mine]) == pytest.approx(
                block.scores[i].mean()
            )
            good = {s["evaluation"]["score"]: s["evaluation"]["is_correct"] for s in mine}
            assert good == (
                {1.0: True, 0.0: False}
                if block.construct == "capability"
                else {1.0: False, 0.0: True}
            )
            config = result["metric_config"]
            assert config["lower_is_better"] is (block.construct == "harm")
            assert record["retrieved_timestamp"] == "1700000000"


def test_the_recipe_has_the_numbers_of_the_card(source: Submission) -> None:
    found = records(every_eval_ever.export(source, Options()).files)
    details = [r["source_metadata"]["additional_details"] for r in found]
    (recipe,) = [r for r, d in zip(found, details, strict=True) if d["safebench.scope"] == "recipe"]
    for score in source.results.scores:
        if score.condition == "base":
            continue
        (result,) = [
            r
            for r in recipe["evaluation_results"]
            if r["evaluation_name"].startswith(f"{score.task}/")
        ]
        details = result["score_details"]
        assert details["score"] == score.estimate
        assert details["uncertainty"]["confidence_interval"]["lower"] == score.lower
        assert details["details"]["safebench.training_seeds"] == "100, 101, 102"
        assert score.stability is not None
        for name in ("lower", "lower_if_normal"):
            said = details["details"][f"safebench.stability.{name}"]
            assert float(said) == getattr(score.stability, name)
        assert details["details"]["safebench.protocol_sha256"] == protocol_digest(source.card)


def test_texts_are_withheld_unless_the_card_or_a_person_publishes_them(tmp_path: Path) -> None:
    closed = open_submission(submission(tmp_path / "closed"))
    withheld = every_eval_ever.export(closed, Options())
    assert b"secret" not in b"".join(withheld.files.values())
    assert b"prompt p00?" not in b"".join(withheld.files.values())
    assert any("--with-responses" in what for what in withheld.lost)
    shown = every_eval_ever.export(closed, Options(with_responses=True))
    assert b"secret" in b"".join(shown.files.values())
    opened = open_submission(submission(tmp_path / "open", policy="public"))
    public = every_eval_ever.export(opened, Options())
    assert b"secret" in b"".join(public.files.values())
    silent = open_submission(submission(tmp_path / "none", texts=False))
    none = every_eval_ever.export(silent, Options())
    assert any("withholds them" in what for what in none.lost)


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_submission_gives_the_same_bytes(format_: str, tmp_path: Path) -> None:
    folder = submission(tmp_path / "in")
    options = {"card_url": URL} if "card_url" in FORMATS[format_].options else {}
    one, other = (
        write_export(folder, tmp_path / name, Options(format_, **options)) for name in "ab"
    )
    assert one.files == other.files and one.files
    for name, content in one.files.items():
        assert (tmp_path / "a" / name).read_bytes() == content
    assert one.lost
    with pytest.raises(RunError, match="is not empty"):
        write_export(folder, tmp_path / "a", Options(format_))


def test_the_hub_reads_back_what_it_is_given(source: Submission) -> None:
    from huggingface_hub.repocard_data import model_index_to_eval_results

    files = hub.export(source, Options(card_url=URL)).files
    (entries,) = [yaml.safe_load(c) for n, c in files.items() if n.startswith(".eval_results/")]
    scores = {s.task: s for s in source.results.scores if s.condition == "tuned"}
    assert {e["dataset"]["task_id"]: e["value"] for e in entries} == {
        task: score.estimate for task, score in scores.items()
    }
    for entry in entries:
        score = scores[entry["dataset"]["task_id"]]
        assert entry["dataset"]["revision"] == COMMIT and entry["source"]["url"] == URL
        assert f"[{score.lower:.4f}, {score.upper:.4f}]" in entry["notes"]
        assert "mean over 3 training seeds, stability at least " in entry["notes"]
        assert " if seeds spread normally)" in entry["notes"]
    index = yaml.safe_load(files["model-index.yaml"])
    assert index["base_model"] == "example/Base-1B"
    _, results = model_index_to_eval_results(index["model-index"])
    assert {r.dataset_name: r.metric_value for r in results} == {
        task: score.estimate for task, score in scores.items()
    }


def test_the_hub_is_told_of_one_seed(source: Submission) -> None:
    files = hub.export(source, Options(training_seed=101, checkpoint=2)).files
    (entries,) = [yaml.safe_load(c) for n, c in files.items() if n.startswith(".eval_results/")]
    for entry in entries:
        tuned = {b.task: b for b in source.blocks if b.condition == "tuned"}
        block = tuned[entry["dataset"]["task_id"]]
        assert entry["value"] == pytest.approx(block.scores[block.seeds.index(101)].mean())
        assert "training seed 101 alone" in entry["notes"]
    with pytest.raises(InteropError, match="none of the primary numbers") as caught:
        hub.export(source, Options(training_seed=7))
    assert "tuned-seed-101-checkpoint-2" in str(caught.value.fix)


def test_croissant_describes_the_tables(source: Submission) -> None:
    export = croissant.export(source, Options(card_url=URL))
    found = json.loads(export.files["croissant.json"])
    files = {f["@id"]: f for f in found["distribution"]}
    assert set(files) == {"card.yaml", "outcomes.parquet"}
    for name, entry in files.items():
        content = (source.folder / name).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    (outcomes,) = found["recordSet"]
    columns = pq.read_schema(source.folder / "outcomes.parquet").names
    assert [f["name"] for f in outcomes["field"]] == columns
    assert all(f["source"]["extract"]["column"] == f["name"] for f in outcomes["field"])
    assert any("describes data sets" in what for what in export.lost)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_are_those_of_load(suffix: str, tmp_path: Path) -> None:
    folder = submission(tmp_path / "in")
    write_export(folder, tmp_path / "out", Options(suffix))
    loaded = safebench.load(folder)
    for name in ("scores", "runs", "changes", "outcomes"):
        path = tmp_path / "out" / f"{name}.{suffix}"
        table = getattr(loaded, name)
        read = pd.read_parquet(path) if suffix == "parquet" else pd.read_csv(path)
        assert list(read.columns) == list(table.columns) and len(read) == len(table)
        for column in ("estimate", "lower", "score", "training_seed"):
            if column in table.columns:
                one, other = (t[column].astype("Float64") for t in (read, table))
                assert one.equals(other), (name, column)


def test_tables_hold_what_was_selected(source: Submission) -> None:
    files = tables.export(source, Options("csv", constructs=("harm",), checkpoint=2)).files
    for name in ("outcomes", "scores", "runs", "changes", "primary", "flips"):
        table = pd.read_csv(io.BytesIO(files[f"{name}.csv"]))
        assert len(table) and set(table["construct"]) == {"harm"}, name
        assert set(table["checkpoint"].dropna()) == {2}, name
    with pytest.raises(EvidenceError, match="checkpoint 0 was not measured"):
        tables.export(source, Options("csv", checkpoint=0))


def test_a_spreadsheet_runs_nothing() -> None:
    table = pd.DataFrame({"a": ["=1+1", " @x", "ok", None, ""], "b": [-1.0, 0.1, 2.0, 3.0, None]})
    rows = list(csv.reader(io.StringIO(csv_bytes(table).decode(), newline="")))
    assert [row[0] for row in rows] == ["a", "'=1+1", "' @x", "ok", "", ""]
    assert [row[1] for row in rows[1:3]] == ["-1.0", "0.1"]  # numbers stay numbers


def test_models_are_listed_base_first(source: Submission) -> None:
    assert [m.name for m in models_of(source)] == [
        "base",
        *(f"tuned-seed-{100 + s}-checkpoint-2" for s in range(3)),
    ]


def test_a_submission_that_cannot_be_exported_says_why(tmp_path: Path) -> None:
    wrong = (("empty", CardError, "card.yaml"), ("plan", EvidenceError, "no results"))
    for name, problem, said in wrong:
        folder = tmp_path / name
        folder.mkdir()
        if said == "no results":
            dump_card(made_card(), folder / "card.yaml")
        with pytest.raises(problem, match=said) as caught:
            open_submission(folder)
        assert isinstance(caught.value, SafebenchError)
    folder = submission(tmp_path / "gone")
    (folder / "outcomes.parquet").unlink()
    with pytest.raises(EvidenceError, match="no such file"):
        open_submission(folder)
    assert not (tmp_path / "out").exists()


def test_what_is_not_reported_is_left_out(tmp_path: Path) -> None:
    absent = {"not_reported": "secret"}
    about = {"id": "x", "title": absent, "submitter": absent, "relationship": "third_party"}
    folder = submission(tmp_path / "in", submission=about)
    found = open_submission(folder)
    assert isinstance(found.card.submission.submitter, NotReported)
    text = b"".join(every_eval_ever.export(found, Options()).files.values()).decode()
    text += b"".join(croissant.export(found, Options()).files.values()).decode()
    text += b"".join(hub.export(found, Options(card_url=URL)).files.values()).decode()
    assert "NotReported" not in text and "not_reported" not in text


def test_results_and_samples_are_found_by_their_evaluation(source: Submission) -> None:
    files = every_eval_ever.export(source, Options()).files
    seen: set[str] = set()
    for record in records(files):
        ids = [r["evaluation_result_id"] for r in record["evaluation_results"]]
        assert all(one.startswith(f"{record['evaluation_id']}/") for one in ids)
        assert not seen & set(ids)
        seen |= set(ids)
        if "detailed_evaluation_results" in record:
            assert {s["evaluation_result_id"] for s in samples(files, record)} == set(ids)


def test_what_a_format_loses_of_these_outcomes_is_said(tmp_path: Path) -> None:
    folder = submission(tmp_path / "in")
    found = open_submission(folder)
    failed = [row | {"status": "error"} for row in found.outcomes.to_pylist()]
    changed = found.with_card(found.card)
    vars(changed)["outcomes"] = make_table(failed, OUTCOMES)
    assert any("status error" in what for what in every_eval_ever.export(changed, Options()).lost)
    with pytest.raises(InteropError, match="'yesterday' is not a number of seconds"):
        every_eval_ever.export(found, Options(timestamp="yesterday"))


def test_numbers_that_are_not_those_of_the_outcomes_are_not_exported(tmp_path: Path) -> None:
    folder = submission(tmp_path / "in")
    path = folder / "card.yaml"
    text = path.read_text()
    first = re.search(r"estimate: 0\.\d+", text)
    assert first is not None
    path.write_text(text.replace(first.group(), "estimate: 0.5001", 1))
    with pytest.raises(EvidenceError, match="are not those of its outcomes") as caught:
        open_submission(folder)
    assert "validate" in str(caught.value.fix)


def test_tables_of_different_submissions_have_the_same_columns_and_types(tmp_path: Path) -> None:
    schemas = []
    for name, seeds in (("one", 1), ("three", 3)):
        folder = tmp_path / name
        rows = made_rows(
            np.random.default_rng(1), seeds=seeds, status="ok" if seeds > 1 else "unrecorded"
        )
        write(folder, rows)
        card = made_card()
        card = card.model_copy(update={"results": compute_results(card, read_outcomes(folder))})
        dump_card(Card.model_validate_json(card.model_dump_json()), folder / "card.yaml")
        write_export(folder, tmp_path / f"{name}-out", Options("parquet"))
        schemas.append({p.name: pq.read_schema(p) for p in (tmp_path / f"{name}-out").iterdir()})
    assert schemas[0] == schemas[1]
    assert not [f for s in schemas[0].values() for f in s if pa.types.is_null(f.type)]


def test_options_are_refused_where_they_mean_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = submission(tmp_path / "in")
    for format_, option in (
        ("csv", ("--training-seed", "0")),
        ("csv", ("--timestamp", "0")),
        ("csv", ("--with-responses",)),
        ("croissant", ("--construct", "harm")),
    ):
        ran = command(capsys, "export", format_, folder, "--out", tmp_path / "out", *option)
        assert ran.code == 2 and f"{option[0]} has no meaning for {format_}" in ran.err
    assert not (tmp_path / "out").exists()
