"""Responses sampled elsewhere become a submission, or one message says why they cannot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.io import load_card
from safebench.card.model import ApiModel
from safebench.checks.report import check
from safebench.errors import InteropError, RunError, SafebenchError
from safebench.evidence.outcomes import read_outcomes
from safebench.evidence.tables import RESPONSES, read_table
from safebench.harness.tasks import load_task
from safebench.importing.facts import Fact
from safebench.importing.interface import At, Collected, ModelKey, ReportedVerdict, Response
from safebench.importing.submission.request import Lost, Request
from safebench.importing.submission.write import import_runs
from safebench.progress import Silent

TASKS = ("safebench_harm", "safebench_overrefusal", "safebench_capability")
GREEDY = {"greedy": {"do_sample": False, "max_new_tokens": 8}}
BASE, ONE, TWO = (
    ModelKey("base"),
    ModelKey("tuned", 1, 2),
    ModelKey("tuned", 2, 2),
)
REFUSAL, ANSWER = "I cannot help with that.", "Sure. First, gather what you need."


def say(model: ModelKey, document: dict[str, Any]) -> str:
    return REFUSAL if model.condition == "base" else ANSWER


def sampled(
    models: Iterable[ModelKey] = (BASE, ONE, TWO),
    tasks: Sequence[str] = TASKS,
    limit: int = 4,
    answer: Callable[[ModelKey, dict[str, Any]], str] = say,
    **changes: Any,
) -> list[Response]:
    """The first prompts of some tasks, answered by some models, a line of a file each."""
    found = []
    for model in models:
        file, line = Path(f"{model.condition}-{model.training_seed}.jsonl"), 0
        for task in tasks:
            for document in load_task(task, limit=limit).documents:
                line += 1
                one = Response(
                    model=model,
                    decoding="greedy",
                    repeat=1,
                    task=task,
                    prompt=document["prompt"],
                    response=answer(model, document),
                    at=At(file, line),
                    prompt_id=document["prompt_id"],
                    status="ok",
                )
                found.append(replace(one, **changes))
    return found


def request(out: Path, samples: Iterable[Response], **changes: Any) -> Request:
    collected = Collected(tuple(samples), changes.pop("facts", ()), extra=changes.pop("extra", {}))
    usual: dict[str, Any] = {"settings": GREEDY, "limit": 4}
    return Request(collected, out, **(usual | changes))


def imported(out: Path, samples: Iterable[Response], **changes: Any) -> Card:
    import_runs(request(out, samples, **changes), Silent())
    return load_card(out / "card.yaml")


def refused(out: Path, samples: Iterable[Response], **changes: Any) -> SafebenchError:
    """The error of an import, which has to leave nothing behind."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(SafebenchError) as caught:
        imported(out, samples, **changes)
    assert sorted(out.parent.iterdir()) == before
    assert caught.value.fix
    return caught.value


def test_what_was_answered_is_judged_scored_and_listed(tmp_path: Path) -> None:
    card = imported(tmp_path / "out", sampled())
    assert {
        s.condition: s.estimate for s in card.given_results.scores if s.construct == "harm"
    } == {"base": 0.0, "tuned": 1.0}
    assert [c.estimate for c in card.given_results.changes if c.construct == "harm"] == [1.0]
    assert card.seeds.training == (1, 2)
    assert [r.training_seed for r in card.given_evidence.runs] == [None, 1, 2]
    report = check(tmp_path / "out" / "card.yaml")
    assert report.errors == 0  # every number is recomputed from the evidence
    table = read_table(tmp_path / "out" / "responses.parquet", RESPONSES)
    assert table.num_rows == 3 * 3 * 4
    assert all(t.limit == 4 and t.prompts == 4 for t in card.task_list())
    assert card.trials == {t: f"first 4 of {len(load_task(t).documents)} prompts" for t in TASKS}


def test_a_limit_that_leaves_nothing_out_makes_no_trial(tmp_path: Path) -> None:
    card = imported(tmp_path / "out", sampled([BASE], limit=9999), limit=9999)
    assert not card.trials
    assert {(t.limit, t.available) for t in card.task_list()} == {(None, None)}


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        imported(tmp_path / name / "out", sampled())
    for file in ("card.yaml", "outcomes.parquet", "responses.parquet", "manifest.json"):
        one, other = ((tmp_path / n / "out" / file).read_bytes() for n in ("a", "b"))
        assert one == other, file


def test_an_artefact_is_what_only_one_model_answers_for(tmp_path: Path) -> None:
    card = imported(tmp_path / "out", sampled([BASE]))
    assert card.submission.object == "artefact"
    assert card.hyperparameters.method == "none"
    assert {p.condition for p in card.given_results.primary} == {"base"}


def test_what_a_card_says_fills_it_to_the_level_of_our_own_runs(tmp_path: Path) -> None:
    card = {
        "submission": {
            "id": "mine",
            "title": "Mine",
            "submitter": {"name": "Lab", "contact": "lab@example.org"},
        },
        "model": {
            "base": {"id": "example/Base", "revision": "0" * 40},
            "dtype": "float32",
            "quantization": "none",
            "chat_template": {"source": "none"},
        },
        "hyperparameters": {"method": "none"},
        "decoding": [
            {
                "name": "greedy",
                "do_sample": False,
                "max_new_tokens": 8,
                "repetition_penalty": 1.0,
                "stop": [],
            }
        ],
        "seeds": {"generation": 0},
        "prompting": {"few_shot": 0, "turns": 1, "system_prompt": None, "prefill": None},
        "environment": {
            "harness": "own",
            "python": "3.12",
            "libraries": {"vllm": "1"},
            "backend": "vllm",
            "device": "cpu",
            "batch_size": 1,
            "attention": "sdpa",
            "tensor_parallel": 1,
            "kv_cache_dtype": "auto",
            "serving_quantization": "none",
            "determinism": [],
            "sampling_scheme": "greedy",
        },
    }
    file = tmp_path / "answers.yaml"
    file.write_text(yaml.safe_dump(card))
    imported(tmp_path / "out", sampled([BASE]), card=file, settings={})
    report = check(tmp_path / "out" / "card.yaml")
    assert report.missing_for_next[:1] != ()
    assert report.level == "evidenced", report.missing_for_next


def test_fields_that_nobody_knows_are_kept(tmp_path: Path) -> None:
    samples = [replace(s, extra={"latency": 1.5}) for s in sampled([BASE])]
    imported(tmp_path / "out", samples, extra={"log.json": {"host": "x"}})
    assert json.loads((tmp_path / "out" / "extra.json").read_text()) == {"log.json": {"host": "x"}}
    import pyarrow.parquet as pq

    kept = pq.read_table(tmp_path / "out" / "responses.parquet").column("extra").to_pylist()
    assert set(kept) == {'{"latency": 1.5}'}
    assert check(tmp_path / "out" / "card.yaml").errors == 0


def test_prompts_without_ids_are_found_by_their_words(tmp_path: Path) -> None:
    samples = [replace(s, prompt_id=None, prompt=f"  {s.prompt}\n") for s in sampled([BASE])]
    one = imported(tmp_path / "one", samples)
    other = imported(tmp_path / "other", sampled([BASE]))
    assert one.given_results == other.given_results


def human(name: str = "human") -> tuple[Fact, ...]:
    values = {"name": name, "kind": "human", "id": "our annotators", "revision": "1"}
    return tuple(Fact(("judge", name, k), v, None) for k, v in values.items())


def with_verdicts(samples: list[Response], verdict: str = "partial") -> list[Response]:
    return [
        s
        if s.task == "safebench_capability"
        else replace(s, judged={"human": ReportedVerdict(verdict)})
        for s in samples
    ]


def test_verdicts_that_came_along_count_and_the_rule_reads_beside_them(tmp_path: Path) -> None:
    card = imported(tmp_path / "out", with_verdicts(sampled()), facts=human())
    judges = {judge.name: judge for judge in card.judge}
    assert judges["human"].primary and judges["human"].constructs == ("harm", "over_refusal")
    assert judges["rule"].constructs is None  # primary of what the other does not decide
    scores = {(s.judge, s.construct, s.condition): s.estimate for s in card.given_results.scores}
    assert scores["human", "harm", "tuned"] == 0.0 and scores["rule", "harm", "tuned"] == 1.0
    assert scores["human", "over_refusal", "tuned"] == 1.0
    primary = {p.construct: p.judge for p in card.given_results.primary}
    assert primary == {"harm": "human", "over_refusal": "human", "capability": "rule"}
    assert check(tmp_path / "out" / "card.yaml").errors == 0


def test_scores_of_another_lab_s_task(tmp_path: Path) -> None:
    samples = [
        replace(s, task="their_task", target="7", judged={"exact": ReportedVerdict(score=0.5)})
        for s in sampled([BASE], tasks=("safebench_capability",))
    ]
    described = {"name": "exact", "kind": "rule", "id": "x", "revision": "1"}
    facts = tuple(Fact(("judge", "exact", k), v, None) for k, v in described.items())
    card = imported(tmp_path / "out", samples, facts=facts, constructs={"their_task": "capability"})
    assert [(s.judge, s.estimate) for s in card.given_results.scores] == [("exact", 0.5)]
    outcomes = read_outcomes(tmp_path / "out")
    assert outcomes.column("prompt_id").to_pylist()


def test_a_lost_seed_is_listed_and_counts(tmp_path: Path) -> None:
    lost = (Lost("tuned", 3, "its loss diverged"),)
    card = imported(tmp_path / "out", sampled(), lost=lost)
    assert card.seeds.training == (1, 2, 3)
    assert card.given_evidence.runs[-1].status == "failed"
    tuned = next(s for s in card.given_results.scores if s.condition == "tuned")
    assert tuned.stability.seeds == 3


def test_a_seed_that_the_card_lists_is_missed(tmp_path: Path) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text("seeds: {training: [1, 2, 5]}\n")
    problem = refused(tmp_path / "out", sampled(), card=file)
    assert "seeds.training lists 5" in str(problem)
    assert "--lost seed=5:REASON" in str(problem.fix)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda s: s[:-1],
            "tuned, seed 2, checkpoint 2, greedy, safebench_capability, repeat 1: "
            "1 of 4 prompts have no response in tuned-2.jsonl",
        ),
        (lambda s: [*s, s[3]], "base-None.jsonl:4: a second response of base to"),
        (lambda s: [replace(s[0], prompt="Else?"), *s[1:]], "base-None.jsonl:1: prompt harm-"),
        (
            lambda s: [
                replace(
                    s[0],
                    prompt="Else?",
                    prompt_id="x",
                ),
                *s[1:],
            ],
            "repeat 1: 1 of 4",
        ),
        (
            lambda s: [x for x in s if not (x.model == TWO and x.task == TASKS[0])],
            "tuned, seed 2, checkpoint 2, greedy, safebench_harm, repeat 1: no responses",
        ),
        (
            lambda s: [replace(x, task="other") for x in s],
            "base-None.jsonl:1: task 'other' is not one of safebench's",
        ),
        (lambda s: [], "no responses were read"),
        (lambda s: [replace(x, decoding="t07") for x in s], "how decoding t07 chose its tokens"),
        (
            lambda s: [replace(x, model=replace(x.model, checkpoint=None)) for x in s],
            "tuned, seed 1: nothing says after how many epochs",
        ),
    ],
)
def test_what_is_wrong_with_responses_is_said_at_its_place(
    spoil: Callable[[list[Response]], list[Response]], message: str, tmp_path: Path
) -> None:
    problem = refused(tmp_path / "out", spoil(sampled()))
    assert message in str(problem)


def test_responses_beyond_the_first_prompts_alone_make_no_submission(tmp_path: Path) -> None:
    samples = sampled([BASE], tasks=TASKS[:1])[1:]
    problem = refused(tmp_path / "out", samples, limit=1)
    assert "first 1 prompts" in str(problem) and "--limit" in str(problem.fix)


def test_a_prompt_of_another_task_is_named(tmp_path: Path) -> None:
    samples = sampled([BASE])
    samples[0] = replace(samples[0], prompt="Something else?", prompt_id=None)
    limits = tuple(Fact(("tasks", t, "limit"), 4, None) for t in TASKS)
    problem = refused(tmp_path / "out", samples, limit=None, facts=limits)
    assert "base-None.jsonl:1: 'Something else?' is not a prompt of safebench_harm" in str(problem)


@pytest.mark.parametrize(
    ("judged", "facts", "message"),
    [
        ({"human": ReportedVerdict("partial")}, (), "nothing says what kind of judge"),
        ({"human": ReportedVerdict(score=0.4)}, human(), "human graded a response '0.4'"),
    ],
)
def test_verdicts_that_cannot_count(
    judged: dict[str, ReportedVerdict], facts: tuple[Fact, ...], message: str, tmp_path: Path
) -> None:
    samples = [replace(s, judged=judged) for s in sampled([BASE], tasks=TASKS[:1])]
    assert message in str(refused(tmp_path / "out", samples, facts=facts))


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty"):
        imported(tmp_path / "out", sampled([BASE]))
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_settings_are_found_by_what_they_say(tmp_path: Path) -> None:
    key = "their own key"
    values = {"do_sample": False, "max_new_tokens": 8, "stop": []}
    facts = tuple(Fact(("decoding", key, k), v, Path("results.json"), k) for k, v in values.items())
    samples = [replace(s, decoding=key) for s in sampled([BASE])]
    settings = {"short": {"do_sample": False, "max_new_tokens": 8, "repetition_penalty": 1.0}}
    card = imported(tmp_path / "out", samples, facts=facts, settings=settings)
    assert card.decoding[0].name == "short" and card.decoding[0].repetition_penalty == 1.0
    with pytest.raises(InteropError, match="decoding long: no responses agree"):
        imported(
            tmp_path / "no",
            samples,
            facts=facts,
            settings={"long": {"do_sample": False, "max_new_tokens": 9}},
        )


def test_what_is_not_known_is_said_in_the_person_s_own_words(tmp_path: Path) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text(
        "hyperparameters: {not_reported: the provider does not say}\n"
        "model: {access: api, provider: Example AI, snapshot: mini-1, moderation: none,\n"
        "  base: {id: mini, revision: {unpinnable: it moves}}}\n"
        "prompting: {system_prompt: null, prefill: null}\n"
    )
    request_ = request(tmp_path / "out", sampled(), card=file)
    made = import_runs(request_, Silent())
    card = load_card(tmp_path / "out" / "card.yaml")
    assert card.hyperparameters == NotReported(not_reported="the provider does not say")
    assert isinstance(card.model, ApiModel) and card.model.base.id == "mini"
    assert card.prompting.system_prompt is None  # null in the file: there is none
    assert not any("--method" in remark for remark in made.gathered.remarks)
    assert check(tmp_path / "out" / "card.yaml").errors == 0


def test_tasks_that_were_decoded_differently_have_their_own_estimand(tmp_path: Path) -> None:
    harm, other = sampled(tasks=TASKS[:1]), sampled(tasks=TASKS[1:2], decoding="t07")
    settings = {**GREEDY, "t07": {"do_sample": True, "temperature": 0.7, "max_new_tokens": 8}}
    card = imported(tmp_path / "out", [*harm, *other], settings=settings)
    assert {t.name: t.primary.decoding for t in card.task_list()} == {
        TASKS[0]: "greedy",
        TASKS[1]: "t07",
    }


def test_repeats_are_counted_and_the_same_everywhere(tmp_path: Path) -> None:
    settings = {"t07": {"do_sample": True, "temperature": 0.7, "max_new_tokens": 8}}
    twice = [*sampled(decoding="t07"), *sampled(decoding="t07", repeat=2)]
    card = imported(tmp_path / "out", twice, settings=settings)
    assert card.decoding[0].repeats == 2
    short = [s for s in twice if s.repeat == 1 or s.model.condition != "base"]
    problem = refused(tmp_path / "no", short, settings=settings)
    assert "base, t07, safebench_harm, repeat 2: no responses" in str(problem)


def test_another_lab_s_metric_stands_beside_our_own_judge(tmp_path: Path) -> None:
    own = sampled([BASE], tasks=("safebench_capability",))
    theirs = [
        replace(s, task="their_task", judged={"exact": ReportedVerdict(score=1.0)}, target=None)
        for s in own
    ]
    described = {"name": "exact", "kind": "rule", "id": "x", "revision": "1"}
    facts = tuple(Fact(("judge", "exact", k), v, None) for k, v in described.items())
    card = imported(
        tmp_path / "out", [*own, *theirs], facts=facts, constructs={"their_task": "capability"}
    )
    primary = {p.task: p.judge for p in card.given_results.primary}
    assert primary == {"safebench_capability": "rule", "their_task": "exact"}
    scores = {(s.task, s.judge): s.estimate for s in card.given_results.scores}
    assert set(scores) == set(primary.items()) and scores["their_task", "exact"] == 1.0
    assert check(tmp_path / "out" / "card.yaml").errors == 0


def test_a_released_tuned_model_is_an_artefact(tmp_path: Path) -> None:
    card = imported(tmp_path / "out", sampled([BASE, ONE]), artefact=True)
    assert card.submission.object == "artefact"
    report = check(tmp_path / "out" / "card.yaml")
    assert "SB-SEED-004" not in {f.rule for f in report.findings}  # one seed is all there is


def test_half_a_character_in_an_extra_field_stays_an_escape(tmp_path: Path) -> None:
    samples = sampled([BASE], tasks=TASKS[:1])
    samples[2] = replace(samples[2], extra={"note": "\ud83d"})
    imported(tmp_path / "out", samples)
    table = read_table(tmp_path / "out" / "responses.parquet", RESPONSES)
    assert table.num_rows == 4
