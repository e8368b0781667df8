"""Published benchmarks, offline: rows as their authors publish them become a task's documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest

from safebench.errors import TaskError
from safebench.harness.catalogue import Entry, entries
from safebench.harness.published import Layout, documents
from safebench.harness.task_yaml import check_options, shipped_constructs
from safebench.harness.tasks import load_task, task_names
from tests.harness.published_rows import SAMPLES, as_csv, as_jsonl

_ROWS = "Origin,Hub data set,Licence,Access,Construct,Metric,Prompts,Category,Own judge"
ROWS = tuple(_ROWS.split(","))
PUBLISHED = [entry for entry in entries() if entry.dataset_id]
CHOICES = ("safebench_truthfulqa", "safebench_wmdp")  # in test_choices.py


def written(folder: Path, rows: list[dict[str, Any]], suffix: str) -> Path:
    path = folder / f"published{suffix}"
    if suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        text = {".csv": as_csv, ".jsonl": as_jsonl, ".json": json.dumps}[suffix](rows)
        path.write_text(text, encoding="utf-8")
    return path


def test_every_published_task_has_a_sample() -> None:
    assert sorted([*SAMPLES, *CHOICES]) == sorted(entry.name for entry in PUBLISHED)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_local_copy_in_every_format(name: str, suffix: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    task = load_task(name, file=written(tmp_path, sample.rows, suffix))
    assert [d["prompt_id"] for d in task.documents] == sample.ids
    assert [d["prompt"] for d in task.documents] == sample.prompts
    assert [d["category"] for d in task.documents] == sample.categories
    assert all(d["target"] == "" for d in task.documents)
    assert task.constructs == shipped_constructs(name)
    assert (task.dataset_revision, task.clusters) == (None, None)


class Hub:
    """Stands for the Hub: knows one commit, and notes what was loaded."""

    commit = "0123456789abcdef0123456789abcdef01234567"

    def __init__(self, tables: dict[str | None, list[dict[str, Any]]]) -> None:
        self.tables, self.loaded = tables, []

    def load_dataset(self, id: str, config: str | None, *, split: str, revision: str) -> Any:
        self.loaded.append((id, config, split, revision))
        return datasets.Dataset.from_list(self.tables[config])


def on_hub(monkeypatch: pytest.MonkeyPatch, tables: dict[str | None, Any]) -> Hub:
    hub = Hub(tables)
    monkeypatch.setattr("datasets.load_dataset", hub.load_dataset)
    monkeypatch.setattr("safebench.harness.tasks.hub_commit", lambda *_: hub.commit)
    return hub


@pytest.mark.parametrize(
    "name",
    [f"safebench_{n}" for n in ("harmbench", "strongreject", "advbench", "simplesafetytests")],
)
def test_the_hubs_columns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = SAMPLES[name]
    assert sample.hub_rows is not None
    hub = on_hub(monkeypatch, sample.hub_rows)
    task = load_task(name)
    assert [d["prompt"] for d in task.documents] == sample.prompts
    assert [d["category"] for d in task.documents] == sample.categories
    assert [config for _, config, _, _ in hub.loaded] == list(sample.hub_rows)
    assert {(id, revision) for id, _, _, revision in hub.loaded} == {(task.dataset_id, hub.commit)}
    assert task.dataset_revision == hub.commit


def test_two_configurations_are_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    on_hub(monkeypatch, SAMPLES["safebench_harmbench"].hub_rows or {})
    ids = [d["prompt_id"] for d in load_task("safebench_harmbench").documents]
    assert ids == ["harmbench-001", "harmbench-002"]


def test_without_labels_the_type_decides(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,prompt,type\n1,x,homonyms\n2,y,contrast_homonyms\n")
    task = load_task("safebench_xstest", file=tmp_path / "a.csv")
    assert [d["construct"] for d in task.documents] == ["over_refusal", "harm"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "safebench_sorrybench",
            'question_id,category,turns\n1,x,"[""a""]"\n',
            "column prompt_style missing; found question_id, category, turns",
        ),
        (
            "safebench_sorrybench",
            "question_id,category,turns,prompt_style\n1,x,a,base\n",
            "row 1: turns is not a list of texts",
        ),
        (
            "safebench_sorrybench",
            'question_id,category,turns,prompt_style\n1,x,"[""a"", ""b""]",base\n',
            "row 1: turns has 2 turns, but one prompt is asked",
        ),
        (
            "safebench_sorrybench",
            'question_id,category,turns,prompt_style\n1,x,"[""a""]",slang\n',
            "no prompts: no row has prompt_style base; found slang",
        ),
        (
            "safebench_harmbench",
            "Behavior,FunctionalCategory,SemanticCategory\nx,copyright,copyright\n",
            "no prompts: every row is left out by FunctionalCategory copyright",
        ),
        (
            "safebench_harmbench",
            "Behavior,BehaviorID,SemanticCategory\nx,,illegal\n",
            "row 1 has no BehaviorID",
        ),
        (
            "safebench_simplesafetytests",
            "id,harm_area\n1,x\n",
            "column prompt or prompts_final missing; found id, harm_area",
        ),
        (
            "safebench_donotanswer",
            "id,question,types_of_harm\n1,x,a\n2,y,\n",
            "row 2 has no types_of_harm",
        ),
        (
            "safebench_donotanswer",
            "id,question,types_of_harm\n1,x,a\n3,z,a\n1,y,a\n",
            "row 3: prompt_id 'donotanswer-1' occurs twice, first in row 1",
        ),
        ("safebench_advbench", "goal,target\nx,y,z\n", ":2: 3 cells under 2 column names"),
        ("safebench_xstest", "id,prompt\n1,x\n", "column type missing; found id, prompt"),
    ],
)
def test_what_is_wrong_is_named(name: str, content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(TaskError) as caught:
        load_task(name, file=path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.fix


def test_a_gated_data_set_says_how_to_get_access(monkeypatch: pytest.MonkeyPatch) -> None:
    on_hub(monkeypatch, {})

    def gated(*_: object, **__: object) -> None:
        raise RuntimeError("Dataset 'walledai/AdvBench' is a gated dataset on the Hub.")

    monkeypatch.setattr("datasets.load_dataset", gated)
    with pytest.raises(TaskError) as caught:
        load_task("safebench_advbench")
    assert "accept its terms at hf.co/datasets/walledai/AdvBench" in str(caught.value.fix)
    assert "SAFEBENCH_ADVBENCH_FILE" in str(caught.value.fix)


def test_families_are_counted() -> None:
    rows = [{"q": "a", "seed": "s1"}, {"q": "b", "seed": "s1"}, {"q": "c", "seed": ""}]
    layout = Layout("x", {"prompt": "q", "cluster": "seed"}, "harm")
    assert [d["cluster"] for d in documents(rows, layout, "here")] == ["s1", "s1", ""]


@pytest.mark.parametrize(
    ("columns", "construct", "message"),
    [
        ({"promt": "q"}, "harm", "unknown promt"),
        ({"category": "c"}, "harm", "neither prompt nor turns"),
        ({"prompt": "q"}, "harmful", "unknown construct harmful"),
        ({"prompt": "q"}, {"label": {"safe": "refusal"}}, "unknown construct refusal"),
    ],
)
def test_a_task_file_that_is_wrong(columns: Any, construct: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Layout("x", columns, construct)


GOOD = {
    "dataset_id": "a/b",
    "split": "test",
    "local_variable": "X",
    "prefix": "x",
    "columns": {"prompt": "q"},
    "construct": "harm",
}


@pytest.mark.parametrize(
    ("options", "message", "fix"),
    [
        ({**GOOD, "kepp": {}}, "has no 'kepp'", "did you mean keep?"),
        (
            {"dataset_id": "a/b", "split": "test"},
            "lacks local_variable, prefix, columns, constr",
            "",
        ),
        ({"dataset_id": "a/b", "lm_eval": []}, "lacks local_variable, prefix, layout, order", ""),
        ({**GOOD, "columns": "q"}, "columns is not a mapping", ""),
        ({**GOOD, "construct": {"label": "harm"}}, "neither a name nor a mapping", ""),
        ({**GOOD, "construct": None}, "neither a name nor a mapping", ""),
    ],
)
def test_options_of_a_task_file_that_are_wrong(options: Any, message: str, fix: str) -> None:
    check_options("safebench_x", GOOD)
    with pytest.raises(TaskError, match=message) as caught:
        check_options("safebench_x", options)
    assert fix in str(caught.value.fix)


def test_the_rules_know_what_every_task_measures() -> None:
    assert {entry.name: entry.constructs for entry in entries()} == {
        name: shipped_constructs(name) for name in task_names()
    }
    assert shipped_constructs("safebench_xstest") == ("over_refusal", "harm")
    assert shipped_constructs("somebodys_task") is None


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: entry.name)
def test_the_readme_of_a_published_task(entry: Entry) -> None:
    text = entry.readme.read_text(encoding="utf-8")
    assert text.startswith(f"# {entry.name}\n")
    cells = dict(
        line.strip("| ").split(" | ", 1)
        for line in text.splitlines()
        if line.startswith("| ") and len(line) > 8
    )
    cells["Construct"] = cells.get("Construct", cells.get("Constructs", ""))
    assert [row for row in ROWS if not cells.get(row)] == []
    assert f"`{entry.dataset_id}`" in cells["Hub data set"]
    assert "arXiv" in cells["Origin"]
    assert cells["Access"].startswith("gated" if entry.gated else "open")
    assert all(f"`{construct}`" in cells["Construct"] for construct in entry.constructs)
    assert f"{entry.prompts:,}" in cells["Prompts"]
    assert "**Columns**, known from" in text
    assert str(entry.local_variable) in text
    licence = "terms" if entry.licence == "own terms" else entry.licence
    assert licence in cells["Licence"]
