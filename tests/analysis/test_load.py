"""`safebench.load`: the numbers of `safebench score`, as DataFrames."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import safebench
from safebench.analysis.load import LoadedSubmission
from safebench.errors import EvidenceError, MissingDependencyError
from tests.command import safebench as command
from tests.site.made_by_code import Recipe, write_submission


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_submission(tmp_path_factory.mktemp("load"), Recipe(prompts=50))


@pytest.fixture(scope="module")
def loaded(folder: Path) -> LoadedSubmission:
    return safebench.load(folder)


def test_it_is_a_public_name() -> None:
    assert safebench.__all__ == ["__version__", "load"]


def test_importing_the_package_loads_nothing_else() -> None:
    program = (
        "import sys, safebench; before = set(sys.modules); safebench.load; "
        "print(*sorted({'numpy', 'pydantic', 'pandas', 'torch'} & before)); "
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["", "False"]


def test_the_numbers_are_those_of_score(
    folder: Path, loaded: LoadedSubmission, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(command(capsys, "score", folder, "--format", "json").out)
    results = found["results"]
    assert loaded.scores["estimate"].tolist() == [s["estimate"] for s in results["scores"]]
    rated = loaded.scores[loaded.scores["stability_note"].notna()]
    for name in ("lower", "lower_if_normal"):
        assert rated[f"stability_{name}"].tolist() == [
            s["stability"][name] for s in results["scores"] if s["stability"]
        ]
    assert loaded.changes["lower"].tolist() == [c["lower"] for c in results["changes"]]
    assert loaded.runs["score"].tolist() == [
        r["score"] for s in results["scores"] for r in s["runs"]
    ]
    one = found["primary"][0]
    rows = loaded.diagnostics[loaded.diagnostics["task"] == one["task"]].set_index("diagnostic")
    for name, measure in one["diagnostics"].items():
        assert rows.loc[name, "estimate"] == measure["estimate"]
        assert rows.loc[name, "method"] == measure["method"]
    assert loaded.primary["seeds_needed"].tolist() == [
        p["seeds_needed"]["seeds"] for p in found["primary"]
    ]
    assert loaded.projections["se"].tolist() == [
        d["se"] for p in found["primary"] for d in p["projections"]
    ]
    runs = loaded.components.query("of == 'runs' and task == 'safebench_harm'").set_index("effect")
    effects = {e["effect"]: e["of_runs"] for e in found["variation"][0]["effects"]}
    for name, measure in effects.items():
        if "not_measured" in measure:
            assert runs.loc[name, "not_measured"] == measure["not_measured"]
        else:
            assert runs.loc[name, "estimate"] == measure["estimate"]
    assert loaded.not_measured.to_dict("records") == found["not_measured"]


def test_outcomes_are_the_rows_of_the_file(loaded: LoadedSubmission) -> None:
    frame = loaded.outcomes
    assert len(frame) == 11 * 4 * 3 * 50
    assert str(frame["training_seed"].dtype) == "Int64"
    means = frame[frame["condition"] == "base"].groupby(["task", "decoding"])["score"].mean()
    base = loaded.scores[loaded.scores["condition"] == "base"]
    for row in base.itertuples():
        assert means[row.task, row.decoding] == pytest.approx(row.estimate)


def test_flips_of_every_prompt(loaded: LoadedSubmission) -> None:
    flips = loaded.flips
    assert len(flips) == 2 * 2 * 3 * 50
    one = flips.query("task == 'safebench_harm' and checkpoint == 2 and decoding == 't07'")
    rows = loaded.diagnostics.query("task == 'safebench_harm' and diagnostic == 'flip_rate'")
    assert one["flip_rate"].mean() == pytest.approx(rows["estimate"].item())
    assert one["category"].notna().all()


def test_one_seed_has_the_same_columns(loaded: LoadedSubmission, tmp_path: Path) -> None:
    single = safebench.load(write_submission(tmp_path, Recipe(prompts=4, seeds=(5,))))
    for name in ("scores", "runs", "components", "primary", "diagnostics", "projections", "flips"):
        assert list(getattr(single, name).columns) == list(getattr(loaded, name).columns), name
    assert single.flips.empty
    assert single.primary["seeds_needed"].isna().all()


def test_what_it_prints(loaded: LoadedSubmission) -> None:
    printed = repr(loaded)
    assert "'household'" in printed
    assert "safebench_harm harm (tuned/2/t07): 0." in printed
    assert "6600 outcomes" in printed
    assert all(name in printed for name in ("scores", "flips", "components"))


def test_a_folder_without_outcomes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_bytes((folder / "card.yaml").read_bytes())
    with pytest.raises(EvidenceError, match="no such file"):
        safebench.load(str(tmp_path))


def test_without_pandas_the_remedy_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    found = safebench.load(folder)
    assert found.results.scores
    with pytest.raises(MissingDependencyError, match="pandas") as caught:
        _ = found.scores
    assert caught.value.fix == "pip install 'pandas>=2.2'"
