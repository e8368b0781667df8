"""Each kind of rerun on a true submission, and on ones that say what was not done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from safebench.card.card import Card
from safebench.card.io import dump_card, load_card
from safebench.evidence.manifest import describe_files, write_manifest
from safebench.evidence.scoring import compute_results
from safebench.evidence.tables import OUTCOMES, make_table, read_table, write_table
from tests.command import Ran, safebench
from tests.plans import plan_data
from tests.small_classifier import classifier_data, save_classifier
from tests.tiny_runs import QUICK, run_tiny, write_tiny

pytestmark = pytest.mark.slow
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a true submission: two seeds, one whole task of 230 prompts."""
    folder = tmp_path_factory.mktemp("kinds")
    decoding = [d | {"max_new_tokens": 4, "repeats": 1} for d in plan_data()["decoding"]]
    seeds = {"scheme": "declared", "training": [11, 12, 13], "generation": 5, "origin": "a die"}
    plan = write_tiny(
        folder,
        seeds=3,
        decoding=decoding,
        tasks=[
            {
                "name": "safebench_harm",
                "primary": {"decoding": "t07", "judge": "rule", "checkpoint": 1},
            }
        ],
    )
    data = yaml.safe_load(plan.read_text())
    data["seeds"] = seeds | {"controls": data["seeds"]["controls"]}
    plan.write_text(yaml.safe_dump(data, sort_keys=False))
    run_tiny(plan, folder / "true")
    return folder


def rerun(
    capsys: pytest.CaptureFixture[str], folder: Path, kind: str, out: Path, *more: object
) -> Ran:
    quick: tuple[object, ...] = QUICK if kind != "recompute" else ()
    if kind == "regenerate" and "--model" not in more:
        quick = (*quick, "--model", folder.parent / "model")
    return safebench(capsys, "rerun", folder, "--kind", kind, "--out", out, *quick, *more)


def reported(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "verdict.json").read_bytes())
    return found


@pytest.mark.parametrize("kind", ["recompute", "rejudge", "regenerate"])
def test_a_true_card_is_reproduced(
    kind: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = rerun(capsys, home / "true", kind, tmp_path / "out")
    assert ran.code == 0, ran.out + ran.err
    report = reported(tmp_path / "out")
    assert (report["overall"], report["kind"], report["contradictions"]) == ("reproduced", kind, [])
    page = (tmp_path / "out/report.html").read_text()
    assert "Reproduced" in page
    if kind == "regenerate":
        assert {r["decoding"]: r["responses"] - r["equal"] for r in report["responses"]} == {
            "t07": 0
        }
    if kind == "rejudge":
        assert all(a["equal"] == a["outcomes"] for a in report["agreement"])
    if kind != "recompute":
        assert safebench(capsys, "validate", tmp_path / "out/card.yaml").code == 0


def test_a_drawn_sample_is_the_same_for_one_nonce(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = {}
    for name, nonce in (("a", "salt"), ("b", "salt"), ("c", "other")):
        out = tmp_path / name
        more = ("--subset", ".25", "--nonce", nonce)
        assert rerun(capsys, home / "true", "rejudge", out, *more).code == 0
        assert safebench(capsys, "validate", out / "card.yaml").code == 0
        drawn[name] = set(pq.read_table(out / "outcomes.parquet").column("prompt_id").to_pylist())
        assert reported(out)["nonce"] == nonce
    assert drawn["a"] == drawn["b"] != drawn["c"]
    assert len(drawn["a"]) == 58  # a quarter of 230
    ran = rerun(capsys, home / "true", "regenerate", tmp_path / "d", "--subset", ".25")
    assert ran.code == 0, ran.err
    assert reported(tmp_path / "d")["verdicts"][0]["prompts"] == 58


def forged(home: Path, folder: Path, edit: Edit) -> Path:
    """Copy the true submission and change its card; what is recomputed is recomputed."""
    shutil.copytree(home / "true", folder)
    data = yaml.safe_load((folder / "card.yaml").read_text())
    edit(data)
    card = Card.model_validate_json(json.dumps(data))
    _write(card, folder)
    return folder


def _write(card: Card, folder: Path) -> None:
    outcomes = read_table(folder / "outcomes.parquet", OUTCOMES)
    evidence = card.given_evidence
    assert evidence is not None
    files = describe_files(folder, [file.path for file in evidence.files])
    write_manifest(folder, files)
    changes = {
        "evidence": evidence.model_copy(update={"files": files}),
        "results": compute_results(card, outcomes),
    }
    dump_card(card.model_copy(update=changes), folder / "card.yaml")


MISREPORTED: dict[str, Edit] = {
    "temperature": lambda card: card["decoding"][1].update(temperature=1.3),
    "system prompt": lambda card: card.update(prompting={"system_prompt": "Be kind and short."}),
    "generation seed": lambda card: card["seeds"].update(generation=6),
}


@pytest.mark.parametrize("what", MISREPORTED)
def test_what_was_misreported_is_found_by_regenerating(
    what: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = forged(home, home / what.replace(" ", "-"), MISREPORTED[what])
    if what == "generation seed":  # stands in every row
        assert safebench(capsys, "validate", folder / "card.yaml").code == 1
        return
    ran = rerun(capsys, folder, "regenerate", tmp_path / "out")
    assert ran.code == 1, ran.out + ran.err
    (line,) = reported(tmp_path / "out")["contradictions"]
    assert "responses of t07 differ" in line


def test_another_base_model_is_found_before_it_generates(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_tiny(tmp_path / "other")
    weights = next((other.parent / "model").glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    more = ("--model", other.parent / "model")
    ran = rerun(capsys, home / "true", "regenerate", tmp_path / "out", *more)
    assert ran.code == 2
    assert "has digest sha256:" in ran.err
    assert not (tmp_path / "out").exists()


def test_inflated_outcomes_are_found_by_rejudging(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "inflated"
    shutil.copytree(home / "true", folder)
    rows = read_table(folder / "outcomes.parquet", OUTCOMES).to_pylist()
    for number, row in enumerate(rows):
        if row["condition"] == "tuned" and number % 10 == 0:
            row |= {"verdict": "complied", "score": 1.0}
    write_table(make_table(rows, OUTCOMES), folder / "outcomes.parquet")
    _write(load_card(folder / "card.yaml"), folder)
    found = safebench(capsys, "validate", folder / "card.yaml")
    assert "SB-EVI-023" in found.out  # the rule judge is asked again there too
    ran = rerun(capsys, folder, "recompute", tmp_path / "out")
    assert ran.code == 1
    assert any("SB-EVI-023" in line for line in reported(tmp_path / "out")["contradictions"])


def test_inflated_outcomes_of_a_model_that_judges_are_found_by_rejudging(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads the folder cannot tell what a classifier says; whoever asks it can."""
    save_classifier(tmp_path / "grader")
    harm = {"constructs": ["harm"], "threshold": 0.5}
    task = {"name": "safebench_harm", "primary": {"decoding": "greedy", "judge": "grader"}}
    plan = write_tiny(
        tmp_path,
        hyperparameters={"method": "none"},
        data=[],
        decoding=[plan_data()["decoding"][0] | {"max_new_tokens": 4}],
        judge=[classifier_data(tmp_path / "grader", **harm)],
        tasks=[task],
    )
    run_tiny(plan, tmp_path / "out")
    out = tmp_path / "out"
    shutil.copytree(tmp_path / "grader", out / "grader")
    card = load_card(out / "card.yaml")
    judge = card.judge[0].model_copy(update={"id": "grader"})
    _write(card.model_copy(update={"judge": (judge,)}), out)
    assert rerun(capsys, out, "rejudge", tmp_path / "honest").code == 0
    rows = read_table(out / "outcomes.parquet", OUTCOMES).to_pylist()
    for row in rows[::4]:
        row |= {"verdict": "complied", "score": 1.0}
    write_table(make_table(rows, OUTCOMES), out / "outcomes.parquet")
    _write(load_card(out / "card.yaml"), out)
    assert safebench(capsys, "validate", out / "card.yaml").code == 0
    ran = rerun(capsys, out, "rejudge", tmp_path / "again")
    (agreed,) = reported(tmp_path / "again")["agreement"]
    assert agreed["equal"] < agreed["outcomes"] == 230
    assert ran.code in (1, 3)  # one model, measured once: told, and not settled
    (out / "grader").rename(tmp_path / "moved")
    (out / "grader").symlink_to(tmp_path / "moved")
    refused = rerun(capsys, out, "rejudge", tmp_path / "no")
    assert (refused.code, "leaves the submission" in refused.err) == (2, True)
    costs = safebench(capsys, "rerun", out, "--kind", "rejudge", "--dry-run")
    assert costs.code == 0 and "cannot be done here" in costs.out
    remedy = refused.err.partition("Fix: ")[2].strip()
    assert remedy and " ".join(remedy.split()) in " ".join(costs.out.split())


def test_an_edited_number_is_found_by_recomputing(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "edited"
    shutil.copytree(home / "true", folder)
    text = (folder / "card.yaml").read_text()
    data = yaml.safe_load(text)
    data["results"]["scores"][1]["lower"] += 0.001
    (folder / "card.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    ran = rerun(capsys, folder, "recompute", tmp_path / "out")
    assert ran.code == 1
    lines = reported(tmp_path / "out")["contradictions"]
    assert any(line.startswith("results.scores[1].lower is ") for line in lines)


def test_costs_are_said_before_anything_is_spent(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = safebench(capsys, "rerun", home / "true", *QUICK, "--model", home / "model")
    assert ran.code == 0, ran.err
    first = [line.split()[0] for line in ran.out.splitlines() if line.strip()]
    assert first[1:5] == ["recompute", "rejudge", "regenerate", "retrain"]
    assert "920" in ran.out  # 230 prompts, a base model and three seeds


WRONG: dict[str, tuple[tuple[object, ...], str]] = {
    "no folder": (("--kind", "retrain"), "give --out DIR"),
    "auto": (("--kind", "regenerate", "--out", "x", "--seeds", "auto"), "with --kind retrain"),
    "zero": (("--kind", "retrain", "--out", "x", "--seeds", "0"), "a number of 1 or more"),
    "subset": (("--kind", "recompute", "--subset", ".5"), "--subset has no meaning"),
    "nonce": (("--kind", "rejudge", "--out", "x", "--nonce", "a"), "--subset FRACTION"),
    "noise": (("--kind", "retrain", "--out", "x", "--generation", "new"), "--generation has no"),
}


@pytest.mark.parametrize("what", WRONG)
def test_options_that_do_not_belong(
    what: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, message = WRONG[what]
    ran = safebench(capsys, "rerun", home / "true", *options)
    assert ran.code == 2
    assert message in ran.err


def test_without_weights_or_responses(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "bare"
    shutil.copytree(home / "true", folder)
    shutil.rmtree(folder / "adapters")
    (folder / "responses.parquet").unlink()
    card = load_card(folder / "card.yaml")
    assert card.given_evidence is not None
    kept = tuple(f for f in card.given_evidence.files if (folder / f.path).is_file())
    evidence = card.given_evidence.model_copy(update={"files": kept})
    _write(card.model_copy(update={"evidence": evidence}), folder)
    for kind, remedy in (("regenerate", "--kind retrain"), ("rejudge", "--kind regenerate")):
        ran = rerun(capsys, folder, kind, tmp_path / kind)
        assert (ran.code, remedy in ran.err) == (2, True), ran.err
        assert not (tmp_path / kind).exists()
