"""`safebench compare` as a person and a program read it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safebench.card.card import Card
from safebench.card.io import dump_card
from tests.command import safebench
from tests.conformance.runner import VALID
from tests.importing.uncarded_made import draws, run
from tests.plans import plan_data
from tests.study.submissions import made_card, made_rows, write

HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "accelerate", "lm_eval", "pandas"}


def submission(folder: Path, seed: int, card: Card | None = None, **options: Any) -> Path:
    rows = made_rows(np.random.default_rng(seed), **options)
    write(folder, rows, lambda prompt: f"how to {prompt}?")
    dump_card(card or made_card(), folder / "card.yaml")
    return folder


def other_card(**changes: Any) -> Card:
    training = {**plan_data()["hyperparameters"], "learning_rate": 0.5}
    return made_card(hyperparameters=training, **changes)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return (
        submission(tmp_path / "a", 1, prompts=range(20)),
        submission(tmp_path / "b", 2, other_card(), chance=0.8),
    )


def flat(text: str) -> str:
    return " ".join(text.split())


def test_what_a_person_reads(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, "compare", *pair, "--flips", 3)
    assert (ran.code, ran.err) == (0, "")
    text = flat(ran.out)
    assert "differs in exactly one variable: hyperparameters.learning_rate 0.01 -> 0.5" in text
    assert "harm, task_harm (lower is safer)" in text
    assert "tuned, epoch 2, t07, judge rule; 3 seeds, 20 prompts, 120 responses" in text
    assert "20 shared prompts, on which A has" in text
    assert "0 only in A, 4 only in B; 95 % interval, paired by prompt, two-way t" in text
    assert "no single prompt stands out from chance: 3 against 3 runs give no p below .100" in text
    assert "of 3 differ beyond chance (Holm, 5 %)" in text
    assert len([line for line in ran.out.splitlines() if line.strip().startswith("p")]) == 4
    assert "how to" not in ran.out and "secret" not in ran.out
    assert max(map(len, ran.out.splitlines())) <= 110


def test_several_variables_are_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompting = {"system_prompt": "Answer in verse"}
    folders = (
        submission(tmp_path / "a", 1),
        submission(tmp_path / "b", 2, other_card(prompting=prompting)),
    )
    text = flat(safebench(capsys, "compare", *folders).out)
    assert (
        "WARNING the protocols differ in 2 variables: - hyperparameters.learning_rate 0.01 -> 0.5"
        " - prompting.system_prompt absent -> a text of 15 characters"
    ) in text
    assert "cannot be attributed to one of them" in text
    assert "in verse" not in text


def test_the_same_protocol_is_a_rerun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = submission(tmp_path / "a", 1), submission(tmp_path / "b", 2)
    text = flat(safebench(capsys, "compare", *folders).out)
    assert "Protocol the same in all that is reported: this is a rerun;" in text


def test_a_bound_on_stability_stands_beside_the_normal_one(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    text = flat(safebench(capsys, "compare", *pair).out)
    assert re.search(r"stability: at least \.\d\d \(\.\d\d if seeds spread normally, estim", text)


def test_every_number_has_its_n_interval_and_method(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    ran = safebench(capsys, "compare", *pair, "--format", "json")
    found = json.loads(ran.out)
    assert found["schema_version"] == "safebench/comparison/1"
    assert [v["name"] for v in found["protocol"]["variables"]] == ["hyperparameters.learning_rate"]
    (row,) = found["comparisons"]
    for part in (row["a"], row["b"]):
        assert {"estimate", "lower", "upper", "n", "prompts", "method", "stability"} <= set(part)
    parts = [row["difference"], *row["categories"]]
    assert len(parts) == 4
    for part in parts:
        assert {"estimate", "lower", "upper", "confidence", "prompts", "method"} <= set(part)
        assert part["lower"] <= part["estimate"] <= part["upper"]
    assert row["flips"]["method"].startswith("exact permutation of runs")
    assert "how to" not in ran.out and "secret" not in ran.out
    assert safebench(capsys, "compare", *pair, "--format", "json").out == ran.out


def test_two_conditions_of_one(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    conditions = "--condition-a", "base", "--condition-b", "tuned"
    ran = safebench(capsys, "compare", pair[0], *conditions)
    assert ran.code == 0
    assert "A and B are one submission: condition base -> tuned" in flat(ran.out)
    ran = safebench(capsys, "compare", pair[0])
    assert ran.code == 2
    assert "give B, or two conditions of A" in ran.err


def test_plans_are_compared_by_their_protocols(capsys: pytest.CaptureFixture[str]) -> None:
    plans = VALID / "paper-e2-seeds.yaml", VALID / "paper-e4-control.yaml"
    ran = safebench(capsys, "compare", *plans)
    assert ran.code == 0
    assert "hyperparameters.epochs 5 -> 2" in ran.out
    unknown = flat(ran.out).partition("neither side reports ")[2]
    assert unknown.startswith("model: base.revision, chat_template.sha256; data: household.sha256")
    assert "tasks: safebench_capability.dataset_sha256" in unknown
    found = json.loads(safebench(capsys, "compare", *plans, "--format", "json").out)
    assert {v["name"] for v in found["protocol"]["variables"]} == {
        "data (control)",
        "hyperparameters.epochs",
    }
    assert "comparisons" not in found


def test_a_folder_without_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, card in (("a", made_card()), ("b", other_card())):
        (tmp_path / name).mkdir()
        dump_card(card, tmp_path / name / "card.yaml")
    folders = tmp_path / "a", tmp_path / "b"
    ran = safebench(capsys, "compare", *folders)
    assert ran.code == 2
    assert "outcomes.parquet: no such file" in ran.err
    ran = safebench(capsys, "compare", *folders, "--protocol-only")
    assert ran.code == 0
    assert "differs in exactly one variable" in ran.out


def test_a_folder_that_is_no_submission(
    tmp_path: Path, pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    ran = safebench(capsys, "compare", pair[0], tmp_path / "empty")
    assert ran.code == 2
    assert "empty holds nothing readable" in ran.err


def test_nothing_to_compare_says_why(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    ran = safebench(capsys, "compare", *pair, "--decoding", "greedy")
    assert ran.code == 2
    assert "A has no outcomes of tuned, epoch 2, decoding greedy, judge rule" in ran.err


def test_names_from_the_evidence_cannot_write_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for seed, folder in enumerate(folders):
        submission(folder, seed)
        rows = made_rows(np.random.default_rng(seed), chance=0.1 + 0.8 * seed)
        for row in rows:
            row["prompt_id"] = f"[red]\x1b[31m{row['prompt_id']}"
        write(folder, rows)
        (folder / "responses.parquet").unlink()
    out = safebench(capsys, "compare", *folders).out
    assert "\x1b" not in out
    assert r"[red]\x1b[31mp" in out


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Outputs of lm-eval: the base model, and two training seeds."""
    folder = tmp_path_factory.mktemp("runs")
    base = run(folder / "base", None, draws(0, 0.2))
    return base, *(run(folder / f"s{n}", f"ckpt/s{n}", draws(n, 0.8)) for n in (1, 2))


def test_runs_without_a_card(runs: tuple[Path, ...], capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, "compare", *runs)
    text = flat(ran.out)
    assert ran.code == 0
    assert f"A {runs[0]} (lm-eval) B {runs[1]} and 1 other (lm-eval)" in text
    assert "exactly one variable: condition base -> tuned" in text
    assert "the rule judge read the responses" in text
    assert "not rated: a bound needs three training seeds" in text
    line = ran.out.partition("To make a card of these runs:")[2].split("\n")[1].strip()
    assert shlex.split(line)[3:] == [
        *("--base", str(runs[0]), "--tuned", f"seed=1:{runs[1]}", "--tuned", f"seed=2:{runs[2]}"),
        *("--checkpoint", "N", "--task", "gsm8k=capability", "--out", "submission"),
    ]
    found = json.loads(safebench(capsys, "compare", *runs, "--format", "json").out)
    assert found["import_command"] == line
    assert [row["difference"]["runs"] for row in found["comparisons"]] == [[1, 2], [1, 2]]


def test_one_seed_cannot_speak_for_others(
    runs: tuple[Path, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    text = flat(safebench(capsys, "compare", *runs[:2]).out)
    assert "B is one training seed" in text and "other runs may differ" in text
    assert "is one training seed" not in safebench(capsys, "compare", *runs).out


def test_runs_are_compared_with_a_submission(
    tmp_path: Path, runs: tuple[Path, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    done = submission(tmp_path / "done", 1)
    table = tmp_path / "table.csv"
    rows = "".join(f"task_harm,p{n:02},how to p{n:02}?,text,refused\n" for n in range(24))
    table.write_text(f"task,prompt_id,prompt,response,verdict\n{rows}")
    means = "--measures", "task_harm=harm", "--task", "task_harm"
    ran = safebench(capsys, "compare", done, table, *means)
    assert ran.code == 0 and "24 shared prompts" in ran.out, ran.err
    assert f"B {table} (responses)" in flat(ran.out)
    ran = safebench(capsys, "compare", done, runs[0])
    assert ran.code == 2 and "only A measured it" in ran.err
    ran = safebench(capsys, "compare", runs[0], table, done)
    assert ran.code == 2 and "or one submission" in ran.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["base"], "Nothing to compare A with"),
        (["base", "base"], "two runs of one model"),
        (["base", "nowhere"], "no such file or folder"),
        (["base", "s1", "--measures", "gsm8k=maths"], "no such construct"),
    ],
)
def test_what_cannot_be_compared(
    runs: tuple[Path, ...], capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    known = {path.name: str(path) for path in runs}
    ran = safebench(capsys, "compare", *(known.get(one, one) for one in arguments))
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err


def test_score_reads_runs_too(runs: tuple[Path, ...], capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, "score", runs[0], "--format", "json")
    assert ran.code == 0
    assert {score["task"] for score in json.loads(ran.out)["results"]["scores"]} == {
        "gsm8k",
        "safebench_harm",
    }
    assert f"safebench import lm-eval --base {runs[0]} --task gsm8k=capability" in ran.err


def test_no_model_library_is_loaded(pair: tuple[Path, Path], runs: tuple[Path, ...]) -> None:
    calls = [list(map(str, pair)), list(map(str, runs))]
    program = (
        f"import sys\nfrom safebench.cli.main import main\nfor paths in {calls!r}:\n"
        " try: main(['compare', *paths])\n"
        " except SystemExit as end: assert not end.code\n"
        "print(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "safebench" in loaded
    assert not loaded & HEAVY
