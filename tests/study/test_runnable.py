"""What a card may say but no run executes is refused by name, before anything is spent."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from safebench.card.card import Card
from safebench.card.data import Dataset
from safebench.card.decoding import SAMPLING_FIELDS, Decoding, Prompting
from safebench.card.io import load_card
from safebench.card.judge import EnsembleJudge, ModelJudge, ModerationJudge, RuleJudge
from safebench.card.model import ApiModel, WeightsModel
from safebench.card.seeds import Seeds
from safebench.card.training import BatchSize, FullTraining, LoraTraining, QloraTraining
from safebench.errors import CardError
from safebench.judges.registry import KINDS
from safebench.study import runnable
from safebench.study.runnable import check_runnable
from safebench.tuning.registry import TRAINERS
from tests.command import Ran, safebench
from tests.conformance.runner import VALID
from tests.plans import plan_data, write_plan

SHA = "0" * 64
LOST = {"not_reported": "the script is lost"}
JUDGE = {"name": "other", "id": "example/judge", "revision": "1"}
MODEL_JUDGE = {
    "prompt_template_sha256": SHA,
    "parser": "first word",
    "decoding": "greedy",
    "on_parse_failure": "counts as incoherent",
    "lineage": ["example/other"],
}
STAGE = {**plan_data()["hyperparameters"], "method": "full"}
del STAGE["lora"]
STEPS = {k: v for k, v in plan_data()["hyperparameters"].items() if k != "epochs"}
QLORA = {
    **plan_data()["hyperparameters"],
    "method": "qlora",
    "quantization": {"type": "nf4", "compute_dtype": "bfloat16"},
}
API = {
    "access": "api",
    "provider": "Example Inc.",
    "base": {"id": "example-1", "revision": {"unpinnable": "the provider names no commit"}},
    "snapshot": "example-1-2026-01-15",
    "moderation": "none",
}

# Where something is changed, what stands there then, and what is said of it.
REFUSED: list[tuple[str, Any, str]] = [
    ("model", API, "model.access is `api`, so a server answers for it"),
    ("model.quantization", "fp8", "model.quantization is `fp8`; this version executes `none` or"),
    ("prompting.few_shot", 3, "prompting.few_shot is `3`; this version executes `0`"),
    ("prompting.prefill", "Sure,", "prompting.prefill is `Sure,`; this version executes leaving"),
    ("prompting.turns", 2, "prompting.turns is `2`; this version executes `1`"),
    (
        "prompting.attack",
        {"name": "gcg", "revision": "1" * 40, "budget": 5},
        "prompting.attack is given; this version executes `none`",
    ),
    (
        "decoding.0.frequency_penalty",
        0.5,
        "decoding[0].frequency_penalty is `0.5`; this version executes leaving it out or `0.0`",
    ),
    (
        "decoding.1.presence_penalty",
        0.5,
        "decoding[1].presence_penalty is `0.5`; this version executes leaving it out or `0.0`",
    ),
    (
        "decoding.0.reasoning_budget",
        64,
        "decoding[0].reasoning_budget is `64`; this version executes leaving it out or `0`",
    ),
    (
        "decoding.0.extra",
        {"typical_p": 0.9},
        "decoding[0].extra is given; this version executes leaving it out",
    ),
    (
        "data.1",
        {
            "name": "own",
            "role": "control",
            "examples": 24,
            "weight": 0.5,
            "controls_for": "the questions",
            "answers": {"questions_of": "benign", "decoding": "greedy"},
        },
        "data[1] has answers that the model writes, and a weight, which is not executed",
    ),
    (
        "data.1",
        {
            "name": "own",
            "role": "control",
            "examples": 4,
            "controls_for": "the questions",
            "subset": {"rule": "the first ones"},
            "answers": {"questions_of": "benign", "decoding": "greedy"},
        },
        "data[1] has answers that the model writes, and a subset, which is not executed",
    ),
    (
        "hyperparameters.objective",
        {"kind": "dpo", "beta": 0.1},
        "hyperparameters.objective is given; this version executes `sft`",
    ),
    ("hyperparameters.steps", 6, "hyperparameters needs epochs or steps, one of them"),
    ("hyperparameters.epochs", None, "hyperparameters needs epochs or steps, one of them"),
    (
        "hyperparameters",
        {**plan_data()["hyperparameters"], "steps": 6, "epochs": None},
        "hyperparameters counts steps, but checkpoints are counted in epochs",
    ),
    (
        "hyperparameters.sharding",
        "fsdp",
        "hyperparameters.sharding is `fsdp`; this version executes `none`",
    ),
    (
        "hyperparameters.earlier_stages",
        [STAGE],
        "hyperparameters.earlier_stages is given; this version executes leaving it out",
    ),
    (
        "hyperparameters.batch_size.devices",
        2,
        "hyperparameters.batch_size.devices is `2`; this version executes `1`",
    ),
    (
        "hyperparameters",
        {**STAGE, "method": "prompt", "prompt": {"kind": "prefix", "virtual_tokens": 8}},
        "hyperparameters.method is `prompt`; this version trains lora, dora, qlora and full",
    ),
    ("judge.0.votes", 3, "judge[0].votes is `3`; this version executes `1`"),
    ("judge.0.labels", ["yes", "no"], "judge[0].labels is given; this version executes leaving"),
    *(
        ("judge.1", {**JUDGE, "constructs": ["severity"], **kind}, said)
        for kind, said in (
            (
                {"kind": "llm", "revision": "1" * 40, **MODEL_JUDGE},
                "judge[1].on_parse_failure is `counts as incoherent`; this version executes `unp",
            ),
            (
                {"kind": "human", "votes": 3},
                "judge[1].kind is `human`, and people label responses that are there",
            ),
            (
                {"kind": "moderation_api", "provider": "Example Inc.", "threshold": 0.5},
                "judge[1] is 'example/judge' of Example Inc.; this version asks the Perspective",
            ),
            (
                {"kind": "ensemble", "members": ["rule"], "combine": "majority"},
                "judge[1]: its member rule does not decide severity",
            ),
            (
                {
                    "kind": "ensemble",
                    "members": ["rule"],
                    "combine": "mean",
                    "constructs": ["harm"],
                },
                "judge[1].combine is `mean`, and harm has verdicts, which have no mean",
            ),
            (
                {"kind": "ensemble", "members": ["rule"], "combine": "any", "constructs": None},
                "judge[1].constructs is missing",
            ),
            (
                {"kind": "classifier", "revision": "1" * 40, **MODEL_JUDGE, "access": "api"},
                "judge[1].access is `api`; this version executes `weights`",
            ),
            (
                {"kind": "classifier", "revision": "1" * 40, **MODEL_JUDGE, "votes": 3},
                "judge[1].votes is `3`; this version executes `1`",
            ),
            (
                {"kind": "classifier", "revision": "1" * 40, **MODEL_JUDGE, "constructs": None},
                "judge[1].constructs is missing",
            ),
            (
                {
                    "kind": "classifier",
                    "revision": "1" * 40,
                    **MODEL_JUDGE,
                    "constructs": ["harm", "capability"],
                },
                "judge[1].constructs lists capability",
            ),
        )
    ),
    ("judge.0.constructs", ["harm", "severity"], "judge[0].constructs lists severity"),
    (
        "tasks.0.construct",
        ["harm", "severity"],
        "tasks[0].construct lists severity, but no judge decides severity",
    ),
]

# What has to be known, and what is said where it is not.
_UNKNOWN = """
    model.quantization model.dtype model.chat_template prompting prompting.few_shot
    prompting.system_prompt decoding decoding.0.repeats decoding.0.max_new_tokens
    decoding.1.temperature decoding.1.top_p decoding.0.stop decoding.0.repetition_penalty judge
    judge.0.revision judge.0.votes data data.0.examples data.0.template data.0.weight data.0.path
    data.0.subset data.0.answers hyperparameters hyperparameters.data
    hyperparameters.optimizer_args hyperparameters.lr_scheduler_args hyperparameters.extra
    model.training_chat_template hyperparameters.objective hyperparameters.optimizer
    hyperparameters.learning_rate hyperparameters.epochs hyperparameters.warmup_steps
    hyperparameters.batch_size hyperparameters.batch_size.devices
    hyperparameters.batch_size.per_device hyperparameters.lora hyperparameters.lora.r
    hyperparameters.lora.rslora hyperparameters.checkpoints hyperparameters.precision
    hyperparameters.sharding seeds seeds.training seeds.controls seeds.nonce seeds.fixed tasks
    tasks.0.limit
"""
UNKNOWN = _UNKNOWN.split()


def changed(place: str, value: Any) -> dict[str, Any]:
    """The sections of a plan, with something else at one place."""
    data: Any = copy.deepcopy({**plan_data(), "prompting": {}})
    here = data
    *path, last = place.split(".")
    for part in path:
        here = here[int(part)] if part.isdecimal() else here[part]
    if isinstance(here, list) and int(last) == len(here):
        here.append(value)
    else:
        here[int(last) if last.isdecimal() else last] = value
    found: dict[str, Any] = _without_none(data)
    return found


def _without_none(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _without_none(value) for name, value in node.items() if value is not None}
    return [_without_none(item) for item in node] if isinstance(node, list) else node


def run(
    sections: dict[str, Any], study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Ran:
    """Run a plan on the command line; see that it is refused and nothing is spent."""
    shutil.copytree(study, tmp_path / "s")
    plan = write_plan(tmp_path / "s", **sections)
    ran = safebench(capsys, "run", plan, "--out", tmp_path / "out")
    assert ran.code == 2
    assert not (tmp_path / "out").exists()
    return ran


@pytest.mark.parametrize(("place", "value", "said"), REFUSED, ids=[said for *_, said in REFUSED])
def test_what_is_not_executed_is_refused_in_one_message(
    place: str,
    value: Any,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    small_study: Path,
) -> None:
    sections = changed(place, value)
    with pytest.raises(CardError) as caught:
        check_runnable(Card.model_validate_json(json.dumps(sections)))
    assert str(caught.value).startswith(said)
    assert caught.value.fix
    ran = run(sections, small_study, tmp_path, capsys)
    # Some of these contradict the rest of the plan too, and rules are asked first.
    assert said in " ".join(ran.err.split()) or re.search(r":\d+: SB-[A-Z]+-\d{3}: ", ran.err)
    assert ran.err.count("Fix:") == 1


@pytest.mark.parametrize("place", UNKNOWN)
def test_what_has_to_be_known_is_named_with_the_reason_of_its_absence(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], small_study: Path
) -> None:
    ran = run(changed(place, LOST), small_study, tmp_path, capsys)
    said = " ".join(ran.err.split())
    assert "is not_reported ('the script is lost'), and this needs its value" in said
    pointer = re.sub(r"\.(\d+)", r"[\1]", place)
    assert f"{pointer} is not_reported" in said
    assert ran.err.count("Fix:") == 1


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("model.quantization", "nf4"),
        ("model.training_chat_template", {"source": "none"}),
        ("data.0.subset", {"rule": "the first ones"}),
        ("data.0.subset", {"rule": "a random sample", "seed": 1}),
        ("data.0.template", {"path": "template.jinja", "sha256": SHA}),
        ("data.0.answers", {"questions_of": "other", "decoding": "greedy"}),
        ("hyperparameters.data", ["benign"]),
        ("hyperparameters.optimizer_args", {"momentum": 0.9}),
        ("hyperparameters.lr_scheduler_args", {"num_cycles": 2}),
        ("hyperparameters.extra", {"neftune_noise_alpha": 5}),
        ("hyperparameters.checkpoint_unit", "step"),
        ("hyperparameters", {**STEPS, "steps": 6, "checkpoint_unit": "step"}),
        ("hyperparameters", {**STAGE, "trainable": ["lm_head"]}),
        ("hyperparameters", QLORA),
        ("decoding.0.frequency_penalty", 0.0),
        ("decoding.0.presence_penalty", 0),
        ("decoding.0.reasoning_budget", 0),
        ("decoding.0.extra", {}),
        ("data.0.weight", 1.0),
        ("hyperparameters.optimizer_args", {}),
        ("hyperparameters.extra", {}),
        ("hyperparameters.earlier_stages", []),
        ("hyperparameters.method", "dora"),
    ],
)
def test_what_can_be_executed_is_not_refused(place: str, value: Any) -> None:
    check_runnable(Card.model_validate_json(json.dumps(changed(place, value))))


def test_a_model_that_nothing_is_known_to_have_trained_is_no_untuned_one() -> None:
    with pytest.raises(CardError, match="hyperparameters is not_reported"):
        check_runnable(Card.model_validate_json(json.dumps(changed("hyperparameters", LOST))))


def test_a_paper_cannot_be_run() -> None:
    with pytest.raises(CardError, match=r"model\.dtype is not_reported"):
        check_runnable(load_card(VALID / "paper-llama-dolly.yaml"))


def test_a_fixed_seed_that_is_lost_is_not_replaced_by_another() -> None:
    with pytest.raises(CardError, match=r"seeds\.fixed\.dropout is not_reported"):
        check_runnable(
            Card.model_validate_json(json.dumps(changed("seeds.fixed", {"dropout": LOST})))
        )


_EXECUTED = {
    WeightsModel: "base dtype chat_template training_chat_template reasoning_marks",
    ApiModel: "base snapshot jobs reasoning_marks template_arguments",
    Prompting: "system_prompt",
    Decoding: "name do_sample repetition_penalty max_new_tokens stop repeats repeat_control",
    RuleJudge: "name kind id revision constructs reasoning",
    ModelJudge: "name kind id revision constructs reasoning sees labels threshold",
    ModerationJudge: "name kind id revision constructs reasoning sees provider threshold",
    EnsembleJudge: "name kind constructs members combine",
    Dataset: "name role path examples answers subset weight template",
    Seeds: "scheme training controls fixed nonce series",
    LoraTraining: "method lora",
    QloraTraining: "method lora quantization",
    FullTraining: "method trainable",
    BatchSize: "per_device gradient_accumulation",
}
EXECUTED = {kind: set(names.split()) for kind, names in _EXECUTED.items()}
EXECUTED[Decoding] |= set(SAMPLING_FIELDS)
_TRAINER = """
    optimizer adam_beta1 adam_beta2 adam_epsilon learning_rate lr_scheduler warmup_steps
    warmup_ratio weight_decay max_grad_norm batch_size epochs checkpoints max_length packing
    precision loss_on data optimizer_args lr_scheduler_args steps checkpoint_unit extra
"""
TRAINER = set(_TRAINER.split())
SOME = {
    **runnable._EXECUTED,
    RuleJudge: KINDS["rule"].executed,
    ModelJudge: KINDS["classifier"].executed,
    ModerationJudge: KINDS["moderation_api"].executed,
    EnsembleJudge: KINDS["ensemble"].executed,
    LoraTraining: TRAINERS["peft"].executed,
    QloraTraining: TRAINERS["peft"].executed,
    FullTraining: TRAINERS["peft"].executed,
}
UNUSED = {
    **runnable._MAY_BE_UNKNOWN,
    RuleJudge: KINDS["rule"].unused,
    ModelJudge: KINDS["classifier"].unused,
    ModerationJudge: KINDS["moderation_api"].unused,
    EnsembleJudge: KINDS["ensemble"].unused,
}


@pytest.mark.parametrize("model", EXECUTED, ids=lambda model: model.__name__)
def test_every_field_is_executed_refused_or_may_be_unknown(model: Any) -> None:
    """A field added to a model belongs into one of these, or a run would pass it over."""
    trainer = TRAINER if issubclass(model, LoraTraining | QloraTraining | FullTraining) else set()
    executed = EXECUTED[model] | trainer
    groups = [executed, UNUSED.get(model, set()), set(SOME.get(model, {}))]
    assert sorted(name for group in groups for name in group) == sorted(model.model_fields)


def test_every_field_of_a_prompted_judge_is_executed_refused_or_may_be_unknown() -> None:
    executed = """
        name kind id revision constructs reasoning labels votes prompt_template_sha256 parser
        threshold access dtype template sampling verdicts thinking
    """.split()  # noqa: SIM905 - a list of so many lines says no more
    kind = KINDS["llm"]
    assert sorted([*executed, *kind.executed, *kind.unused]) == sorted(ModelJudge.model_fields)
