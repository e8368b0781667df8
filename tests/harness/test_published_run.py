"""Published tasks in a run: what the card says of them when it is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.card.io import load_card
from safebench.errors import CardError
from safebench.evidence.submission import Submission
from safebench.harness.tasks import pin_tasks
from tests.command import safebench
from tests.harness.published_rows import SAMPLES, as_csv
from tests.test_contributing import files, followed  # noqa: F401 - a fixture
from tests.tiny_runs import QUICK, write_tiny


@pytest.mark.slow
def test_a_run_on_local_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("safebench_harmbench", "safebench_donotanswer"):
        (tmp_path / f"{name}.csv").write_text(as_csv(SAMPLES[name].rows))
    questions = [
        {"question": f"Sum of {n} and 1?", "choices": "['1', '2', '3', '4']", "answer": n}
        for n in range(3)
    ]
    (tmp_path / "safebench_wmdp.csv").write_text(as_csv(questions))
    names = ("safebench_harmbench", "safebench_donotanswer", "safebench_wmdp")
    plan = write_tiny(tmp_path, tasks=[{"name": n, "path": f"{n}.csv"} for n in names])
    ran = safebench(capsys, "run", plan, "--out", tmp_path / "out", "--limit", 1, *QUICK)
    assert ran.code == 0, ran.err
    card = load_card(tmp_path / "out" / "card.yaml")
    assert [(t.name, t.construct, t.prompts) for t in card.task_list()] == [
        ("safebench_harmbench", "harm", 1),
        ("safebench_donotanswer", "harm", 1),
        ("safebench_wmdp", "capability", 1),
    ]
    assert [t.dataset_id for t in card.task_list()] == [
        "walledai/HarmBench",
        "LibrAI/do-not-answer",
        "cais/wmdp",
    ]
    assert all(t.clusters is None for t in card.task_list())
    assert {s.task for s in card.results.scores} == set(names)


def pinned_clusters(folder: Path, **stated: int) -> object:
    task = {"name": "safebench_mybench", "path": "mybench.csv", **stated}
    plan = write_tiny(folder, tasks=[task])
    card, _ = pin_tasks(Submission(load_card(plan), folder))
    return card.task_list()[0].clusters


def test_the_families_that_authors_name_go_into_the_card(followed: Path) -> None:  # noqa: F811
    assert "cluster: seed" in files()["tasks/safebench_mybench/safebench_mybench.yaml"]
    assert pinned_clusters(followed) == 2
    assert pinned_clusters(followed, clusters=2) == 2
    assert pinned_clusters(followed, limit=1) == 1
    with pytest.raises(CardError, match=r"tasks\[0\].clusters is 3, but what was found has 2"):
        pinned_clusters(followed, clusters=3)


def test_families_that_no_column_names_may_be_stated(tmp_path: Path) -> None:
    plan = write_tiny(tmp_path, tasks=[{"name": "safebench_harm", "clusters": 23}])
    card, _ = pin_tasks(Submission(load_card(plan), tmp_path))
    assert card.task_list()[0].clusters == 23
