"""Folders that lm-eval really writes, on a small model made here, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safebench.importing.interface import ModelKey, ReportedVerdict
from safebench.importing.lm_eval.reader import read_lm_eval
from safebench.resources import tasks_dir
from tests.small_models import save_llama

pytestmark = pytest.mark.slow

TUNED = ModelKey("tuned", 1)
_SAMPLED = """
task: made_sampled
custom_dataset: !function safebench.harness.sources.own
dataset_kwargs: {file: safebench_harm/harm.jsonl, construct: harm}
test_split: test
output_type: generate_until
repeats: 2
doc_to_text: "Q: {{prompt}}"
doc_to_target: "none"
generation_kwargs: {until: [], do_sample: true, temperature: 0.7, max_gen_toks: 6}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""
_CHOICES = """
task: made_choices
custom_dataset: !function safebench.harness.sources.own
dataset_kwargs: {file: safebench_harm/harm.jsonl, construct: harm}
test_split: test
output_type: multiple_choice
doc_to_text: "Q: {{prompt}}"
doc_to_choice: ["yes", "no"]
doc_to_target: 0
metric_list: [{metric: acc}, {metric: acc_norm}]
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An output folder of lm-eval, and the samples it had in memory."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    made = tmp_path_factory.mktemp("tasks")
    (made / "made_sampled.yaml").write_text(_SAMPLED)
    (made / "made_choices.yaml").write_text(_CHOICES)
    model = save_llama(tmp_path_factory.mktemp("small-model"))
    out = tmp_path_factory.mktemp("out")
    tracker = EvaluationTracker(output_path=str(out))
    found = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(model), "dtype": "float32"},
        tasks=["safebench_harm", "made_sampled", "made_choices"],
        task_manager=TaskManager(
            include_path=[str(tasks_dir()), str(made)], include_defaults=False
        ),
        limit=3,
        batch_size=2,
        device="cpu",
        apply_chat_template=True,
        evaluation_tracker=tracker,
        gen_kwargs={"max_gen_toks": 6},
    )
    assert found is not None
    samples = found.pop("samples")
    kept = {task: [dict(one) for one in rows] for task, rows in samples.items()}
    tracker.save_results_aggregated(results=found, samples=samples)
    for task, rows in samples.items():
        tracker.save_results_samples(task_name=task, samples=rows)
    return out, kept


def test_every_response_is_read(written: tuple[Path, dict[str, Any]]) -> None:
    folder, logged = written
    found = read_lm_eval(folder, TUNED)
    assert len(found.samples) == 3 + 3 * 2 + 3
    for task in ("safebench_harm", "made_sampled"):
        mine = [one.response for one in found.samples if one.task == task]
        assert mine == [text for one in logged[task] for text in one["resps"][0]]
    sampled = [one for one in found.samples if one.task == "made_sampled"]
    assert [one.repeat for one in sampled] == [1, 2] * 3
    assert {one.generation_seed for one in sampled} == {1234}
    assert len({one.response for one in sampled}) > 3
    assert sampled[0].judged == {}


def test_own_prompts_and_scored_choices(written: tuple[Path, dict[str, Any]]) -> None:
    folder, logged = written
    found = read_lm_eval(folder, TUNED)
    ours = [one for one in found.samples if one.task == "safebench_harm"]
    docs = [one["doc"] for one in logged["safebench_harm"]]
    assert [one.prompt for one in ours] == [doc["prompt"] for doc in docs]
    assert [one.prompt_id for one in ours] == [doc["prompt_id"] for doc in docs]
    assert {one.construct for one in ours} == {"harm"}
    assert "<|user|>" in ours[0].extra["rendered_prompt"]
    scored = [one for one in found.samples if one.task == "made_choices"]
    for one, row in zip(scored, logged["made_choices"], strict=True):
        assert one.response is not None
        assert one.judged == {"acc": ReportedVerdict(score=row["acc"])}
        assert (one.response.strip() == "yes") is (row["acc"] == 1.0)


def test_what_the_files_say(written: tuple[Path, dict[str, Any]]) -> None:
    found = read_lm_eval(written[0], TUNED)
    facts = {fact.place: fact.value for fact in found.facts}
    assert facts["environment", "harness"].startswith("lm-eval 0.4.")
    assert facts["tasks", "safebench_harm", "prompts"] == 3
    assert facts["tasks", "safebench_harm", "limit"] == 3
    keys = {one.decoding for one in found.samples}
    assert {place[1] for place in facts if place[0] == "decoding"} == keys
    assert len(keys) == 3
    assert "environment" in {place[0] for place in facts if place[-1] == "sampling_scheme"}
    assert not found.remarks[1:]
    assert str(written[0].parent) not in str(found.extra)
