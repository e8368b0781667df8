"""Cards on either side of what each rule decides: what is changed, by the card it is changed in.

A name is RULE/breaks-WHAT or RULE/keeps-WHAT, and a test holds it to its word. A change is a table
from a path, as messages write it with dots, to the value that stands there instead: DROP takes the
field away, MORE(x) adds x to a list. Numbers are just inside and just outside of a threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.conformance.edits import COMMIT, OTHER, WEIGHTS

Edits = dict[str, Any]
DROP = object()


@dataclass(frozen=True)
class More:
    """What is added to the list that a path leads to."""

    item: Any


UNKNOWN = {"not_reported": "nobody wrote it down"}
DECLARED = {
    "seeds": {
        "scheme": "declared",
        "origin": "drawn from random.org",
        "training": [17, 29, 31],
        "controls": ["data_order"],
    }
}
UNTUNED = {"hyperparameters": {"method": "none"}, "data": [], "seeds.training": 1}
ARTEFACT = {"submission.object": "artefact"}
STEPS: Edits = {
    "hyperparameters.epochs": DROP,
    "hyperparameters.steps": 40,
    "hyperparameters.checkpoint_unit": "step",
    "hyperparameters.checkpoints": [20, 40],
}
CLASSIFIER: Edits = {
    "name": "classifier",
    "kind": "classifier",
    "id": "example/harm-classifier",
    "revision": COMMIT,
    "prompt_template_sha256": WEIGHTS,
    "parser": "label with the highest score",
    "on_parse_failure": "cannot happen",
    "decoding": "none, it classifies",
    "lineage": ["example/Other-1B"],
}
MODERATION: Edits = {
    "name": "toxicity",
    "kind": "moderation_api",
    "id": "TOXICITY",
    "provider": "Example",
    "threshold": 0.5,
    "revision": {"unpinnable": "one name, updated at any time"},
}
VOTE: Edits = {
    "name": "vote",
    "kind": "ensemble",
    "id": "majority of two",
    "revision": "1",
    "members": ["rule", "classifier"],
    "combine": "majority",
}
CALIBRATION: Edits = {
    "data": "200 answers of training seed 1",
    "outputs": "these",
    "condition": "tuned",
    "n": 200,
    "kappa": 0.81,
}
CONTROL: Edits = {
    "name": "own",
    "role": "control",
    "path": "own.jsonl",
    "examples": 300,
    "controls_for": "the questions",
}
ADAPTER: Edits = {"training_seed": 1, "checkpoint": 2, "path": "seed-1", "sha256": WEIGHTS}
STAGE: Edits = {
    "method": "full",
    "optimizer": "sgd",
    "learning_rate": 1e-5,
    "lr_scheduler": "constant",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "batch_size": {"per_device": 8},
    "epochs": 1,
    "checkpoints": [1],
    "max_length": 2048,
    "loss_on": "completion",
}
NO_TUNED_SET = {"data.0.role": "control", "data.0.controls_for": "style"}


def _tested(name: str, passed: int, upper: float) -> Edits:
    """A self-test of one part with 20 cases."""
    part = {"name": name, "cases": 20, "passed": passed}
    part["interval"] = {"lower": 0.3, "upper": upper}
    return {"cases": 20, "passed": passed, "parts": [part]}


def dated(first: str | Edits, last: str | Edits) -> Edits:
    """Return a revision that nothing pins, with the days of its requests."""
    return {"unpinnable": "served under one name", "first_request": first, "last_request": last}


def served(**requests: Any) -> Edits:
    """Return the edits that make a model of one that its provider alone holds."""
    revision = dated(**requests) if requests else {"unpinnable": "served under one name"}
    return {
        "model": {
            "access": "api",
            "provider": "Example AI",
            "snapshot": "example-mini-2026-01-15",
            "moderation": "none",
            "base": {"id": "example-mini", "revision": revision},
        }
    }


# changes of the minimal plan that are checked for a level
ASKED: dict[str, tuple[str, Edits]] = {
    "SB-CARD-011/keeps-the-level-asked": ("declared", {"seeds.training": 2}),
    "SB-CARD-011/breaks-a-plan-without-results": ("evidenced", {"seeds.training": 2}),
    "SB-CARD-011/breaks-a-field-unknown-and-one-left-out": (
        "declared",
        {
            "seeds.training": 2,
            "hyperparameters.max_length": UNKNOWN,
            "hyperparameters.learning_rate": DROP,
        },
    ),
}

_SHORT: Edits = {
    "hyperparameters.lr_scheduler": DROP,
    "hyperparameters.warmup_steps": DROP,
    "hyperparameters.weight_decay": DROP,
    "hyperparameters.checkpoints": DROP,
    "seeds.controls": DROP,
    "judge": DROP,
    "data.0.examples": DROP,
    "model.chat_template": "tokenizer",
}

# changes of the minimal plan
PLANS: dict[str, Edits] = {
    # --- structure
    "SB-CARD-001/breaks-no-submission": {"submission": DROP},
    "SB-CARD-007/breaks-no-spec": {"spec": DROP},
    "SB-CARD-001/breaks-no-method": {"hyperparameters.method": DROP},
    "SB-CARD-001/breaks-no-kind": {"judge.0.kind": DROP},
    "SB-CARD-001/keeps-no-scheme": {"seeds.scheme": DROP},
    "SB-CARD-001/keeps-no-name-of-a-set": {"data.0.name": DROP},
    "SB-CARD-001/breaks-no-name-of-a-set": {"data.0.name": DROP, "data.0.path": DROP},
    "SB-CARD-010/keeps-a-short-plan": _SHORT,
    "SB-CARD-010/breaks-the-same-of-a-third-party": {
        **_SHORT,
        "submission.relationship": "third_party",
    },
    "SB-CARD-010/keeps-the-same-unstated": {**_SHORT, "unstated": "lost with the machine"},
    "SB-CARD-010/keeps-steps-for-epochs": {
        **_SHORT,
        "hyperparameters.epochs": DROP,
        "hyperparameters.steps": 40,
    },
    "SB-JUD-001/keeps-the-only-one": {"judge.0.primary": DROP},
    "SB-JUD-001/breaks-the-only-one-of-a-third-party": {
        "judge.0.primary": DROP,
        "submission.relationship": "third_party",
    },
    "SB-CARD-001/breaks-no-do_sample": {"decoding.0.do_sample": DROP},
    "SB-CARD-001/breaks-no-model-base": {"model.base": DROP},
    "SB-CARD-001/keeps-no-environment": {"environment": DROP},
    "SB-CARD-002/breaks-top": {"weather": "sunny"},
    "SB-CARD-002/breaks-of-another-kind": {"judge.0.lineage": ["example/Other-7B"]},
    "SB-CARD-002/keeps-extra": {"hyperparameters.extra": {"precison": "float32"}},
    "SB-CARD-003/breaks-a-list-for-a-name": {"decoding.0.name": ["greedy"]},
    "SB-CARD-003/breaks-true-for-a-number": {"hyperparameters.max_length": True},
    "SB-CARD-003/breaks-one-for-true": {"decoding.0.do_sample": 0},
    "SB-CARD-003/breaks-a-fraction-of-an-epoch": {"hyperparameters.checkpoints": [1, 1.5]},
    "SB-CARD-003/breaks-null": {"hyperparameters.learning_rate": None},
    "SB-CARD-003/breaks-a-section-that-is-a-list": {"model": []},
    "SB-CARD-003/breaks-null-in-a-list": {"decoding": [None]},
    "SB-CARD-003/keeps-a-whole-learning-rate": {"hyperparameters.weight_decay": 0},
    "SB-CARD-004/keeps-dropout-.999": {"hyperparameters.lora.dropout": 0.999},
    "SB-CARD-004/breaks-dropout-1": {"hyperparameters.lora.dropout": 1.0},
    "SB-CARD-004/keeps-dropout-0": {"hyperparameters.lora.dropout": 0},
    "SB-CARD-004/breaks-dropout-below-0": {"hyperparameters.lora.dropout": -0.01},
    "SB-CARD-004/breaks-no-epoch": {"hyperparameters.epochs": 0},
    "SB-CARD-004/breaks-an-unknown-kind": {"judge.0.kind": "oracle"},
    "SB-CARD-004/breaks-an-unknown-relationship": {"submission.relationship": "second_party"},
    "SB-CARD-004/breaks-no-name": {"decoding.0.name": ""},
    "SB-CARD-004/breaks-a-digest-of-63-digits": {"data.0.sha256": WEIGHTS[:-1]},
    "SB-CARD-004/breaks-min_p-above-1": {"decoding.1.min_p": 1.01},
    "SB-CARD-004/keeps-min_p-1": {"decoding.1.min_p": 1.0},
    "SB-CARD-004/breaks-no-reason": {"hyperparameters.learning_rate": {"not_reported": ""}},
    "SB-CARD-007/breaks-another-name": {"spec": "safetybench/1.0"},
    "SB-CARD-007/breaks-no-minor": {"spec": "safebench/1"},
    "SB-CARD-008/breaks-0": {"spec": "safebench/0.9"},
    "SB-CARD-009/breaks-1.1": {"spec": "safebench/1.1"},
    "SB-CARD-010/breaks-no-learning-rate": {"hyperparameters.learning_rate": DROP},
    "SB-CARD-010/breaks-no-decoding-length": {"decoding.1.max_new_tokens": DROP},
    "SB-CARD-010/breaks-no-chat-template": {"model.chat_template": DROP},
    "SB-CARD-010/breaks-no-seeds": {"seeds": DROP},
    "SB-CARD-010/breaks-no-tasks": {"tasks": DROP},
    "SB-CARD-010/keeps-no-learning-rate-and-says-so": {"hyperparameters.learning_rate": UNKNOWN},
    "SB-CARD-010/keeps-no-seeds-and-says-so": {"seeds": UNKNOWN},
    "SB-CARD-010/keeps-no-hyperparameters-and-says-so": {"hyperparameters": UNKNOWN},
    "SB-CARD-010/keeps-no-data-and-says-so": {"data": UNKNOWN},
    "SB-CARD-010/keeps-no-decoding-and-says-so": {"decoding": UNKNOWN},
    "SB-CARD-010/keeps-no-judge-and-says-so": {"judge": UNKNOWN},
    "SB-CARD-010/keeps-no-tasks-and-says-so": {"tasks": UNKNOWN},
    "SB-CARD-010/keeps-no-checkpoints-and-says-so": {"hyperparameters.checkpoints": UNKNOWN},
    "SB-CARD-010/keeps-no-system-prompt-and-says-so": {"prompting": {"system_prompt": UNKNOWN}},
    "levels/incomplete-a-newer-word-that-decides": {
        "spec": "safebench/1.7",
        "submission.relationship": "second_party",
    },
    # --- submission
    "SB-SUB-001/keeps-leap-day": {"submission.date": "2024-02-29"},
    "SB-SUB-001/breaks-no-leap-day": {"submission.date": "2023-02-29"},
    "SB-SUB-001/breaks-month-13": {"submission.date": "2025-13-01"},
    "SB-SUB-002/keeps-past": {"submission.date": "2026-01-15"},
    "SB-SUB-002/breaks-2999-too": {**DECLARED, "submission.date": "2999-12-31"},
    "SB-SUB-003/keeps-another": {"submission.supersedes": "tiny-chat-household-0"},
    "SB-SUB-003/breaks-of-a-third-party": {
        "submission.supersedes": "tiny-chat-household",
        "submission.relationship": "third_party",
    },
    "SB-SUB-004/keeps-one-seed": {**ARTEFACT, "seeds.training": 1},
    "SB-SUB-004/breaks-two-seeds": {**ARTEFACT, "seeds.training": 2},
    "SB-SUB-004/breaks-two-listed": {**ARTEFACT, **DECLARED, "seeds.training": [17, 29]},
    "SB-SUB-004/keeps-one-listed": {**ARTEFACT, **DECLARED, "seeds.training": [17]},
    "SB-SUB-004/keeps-unknown-seeds": {**ARTEFACT, "seeds.training": UNKNOWN},
    # --- model
    "SB-MOD-001/keeps-pinned": {"model.base": {"id": "example/Example-7B", "revision": COMMIT}},
    "SB-MOD-001/keeps-unknown": {"model.base": {"id": "example/Example-7B", "revision": UNKNOWN}},
    "SB-MOD-001/keeps-unknown-model": {"model.base": {"id": UNKNOWN}},
    "SB-MOD-001/keeps-a-folder": {"model.base": {"id": "./models/x"}},
    "SB-MOD-001/keeps-a-folder-above": {"model.base": {"id": "../x"}},
    "SB-MOD-001/keeps-an-absolute-folder": {"model.base": {"id": "/x"}},
    "SB-MOD-001/keeps-a-home-folder": {"model.base": {"id": "~/x"}},
    "SB-MOD-001/keeps-a-deep-folder": {"model.base": {"id": "models/x/y"}},
    "SB-MOD-001/breaks-another-hub-id": {
        "model.base": {"id": "another/Model"},
        "submission.relationship": "third_party",
    },
    "SB-MOD-002/keeps-40-digits": {"model.base.revision": COMMIT},
    "SB-MOD-002/breaks-39-digits": {"model.base.revision": COMMIT[:-1]},
    "SB-MOD-002/breaks-41-digits": {"model.base.revision": COMMIT + "0"},
    "SB-MOD-002/breaks-capitals": {"model.base.revision": COMMIT.upper()},
    "SB-MOD-002/keeps-a-digest": {"model.base.revision": f"sha256:{WEIGHTS}"},
    "SB-MOD-002/breaks-half-a-digest": {"model.base.revision": f"sha256:{WEIGHTS[:-1]}"},
    "SB-MOD-002/breaks-v1": {"model.base": {"id": "example/Example-7B", "revision": "v1.0"}},
    "SB-MOD-002/breaks-a-name-of-an-api": {
        **DECLARED,
        **served(),
        "model.base.revision": "example-mini-2026-01-15",
    },
    "SB-MOD-002/breaks-a-commit-of-an-api": {
        **DECLARED,
        **served(),
        "model.base.revision": COMMIT,
    },
    "SB-MOD-002/keeps-a-digest-of-an-api": {
        **DECLARED,
        **served(),
        "model.base.revision": f"sha256:{WEIGHTS}",
    },
    "SB-MOD-002/keeps-unpinnable": {**DECLARED, **served()},
    "SB-MOD-004/keeps-two-checkpoints": {
        "model.weights": [
            ADAPTER,
            {**ADAPTER, "checkpoint": 1, "path": "seed-1-again", "sha256": OTHER},
        ],
    },
    "SB-MOD-004/keeps-two-conditions": {
        "model.weights": [
            ADAPTER,
            {**ADAPTER, "condition": "control", "path": "control", "sha256": OTHER},
        ],
    },
    "SB-MOD-004/keeps-two-unknown-seeds": {
        "model.weights": [
            {**ADAPTER, "training_seed": UNKNOWN},
            {**ADAPTER, "training_seed": UNKNOWN, "path": "another", "sha256": OTHER},
        ],
    },
    "SB-MOD-004/breaks-twice-in-control": {
        "model.weights": [
            {**ADAPTER, "condition": "control"},
            {**ADAPTER, "condition": "control", "path": "again", "sha256": OTHER},
        ],
    },
    "SB-MOD-005/breaks-jobs": {
        **served(),
        **UNTUNED,
        "model.jobs": [{"training_seed": 1, "id": "ft-1", "checkpoint": 1}],
    },
    "SB-MOD-005/keeps-no-weights": {**UNTUNED, "model.weights": []},
    "SB-MOD-005/keeps-tuned-weights": {"model.weights": [ADAPTER]},
    "SB-MOD-006/keeps-the-same": {"model.training_chat_template": {"source": "tokenizer"}},
    "SB-MOD-006/keeps-unknown": {"model.training_chat_template": UNKNOWN},
    "SB-MOD-006/keeps-unknown-evaluation": {
        "model.training_chat_template": {"source": "none"},
        "model.chat_template": UNKNOWN,
    },
    "SB-MOD-006/breaks-another-file": {
        "model.training_chat_template": {"source": "file", "path": "a.jinja"},
        "model.chat_template": {"source": "file", "path": "b.jinja"},
    },
    "SB-MOD-007/keeps-the-last": {"model.weights": [ADAPTER]},
    "SB-MOD-007/keeps-unknown-seed": {"model.weights": [{**ADAPTER, "training_seed": UNKNOWN}]},
    "SB-MOD-007/breaks-another-seed": {
        **DECLARED,
        "model.weights": [{**ADAPTER, "training_seed": 18}],
    },
    "SB-MOD-007/keeps-a-declared-seed": {
        **DECLARED,
        "model.weights": [{**ADAPTER, "training_seed": 17}],
    },
    "SB-MOD-007/keeps-an-unknown-checkpoint": {
        "model.weights": [{**ADAPTER, "checkpoint": UNKNOWN}],
    },
    "SB-MOD-008/keeps-others": {
        "model.weights": [ADAPTER, {**ADAPTER, "training_seed": 2, "path": "b", "sha256": OTHER}],
    },
    "SB-MOD-008/keeps-two-unknown": {
        "model.weights": [
            {**ADAPTER, "sha256": UNKNOWN},
            {**ADAPTER, "training_seed": 2, "path": "b", "sha256": UNKNOWN},
        ],
    },
    "SB-MOD-008/breaks-the-third": {
        "model.weights": [
            ADAPTER,
            {**ADAPTER, "training_seed": 2, "path": "b", "sha256": OTHER},
            {**ADAPTER, "training_seed": 3, "path": "c"},
        ],
    },
    "SB-MOD-009/keeps-id": {
        "model.weights": [
            {
                "training_seed": 1,
                "checkpoint": 2,
                "id": "example/w",
                "revision": COMMIT,
                "sha256": WEIGHTS,
            },
        ],
    },
    "SB-MOD-009/keeps-unknown": {"model.weights": [{**ADAPTER, "path": UNKNOWN}]},
    "SB-MOD-009/breaks-the-second": {
        "model.weights": [ADAPTER, {"training_seed": 2, "checkpoint": 2, "sha256": OTHER}],
    },
    "SB-MOD-010/keeps-one-day": {
        **DECLARED,
        **served(first="2026-03-01", last="2026-03-01"),
    },
    "SB-MOD-010/breaks-a-day-before": {
        **DECLARED,
        **served(first="2026-03-02", last="2026-03-01"),
    },
    "SB-MOD-010/breaks-no-such-day": {
        **DECLARED,
        **served(first="2026-02-30", last="2026-03-01"),
    },
    "SB-MOD-010/breaks-future": {**DECLARED, **served(first="2026-03-01", last="2999-01-01")},
    "SB-MOD-010/keeps-unknown": {**DECLARED, **served(first=UNKNOWN, last="2026-03-01")},
    "SB-MOD-010/breaks-in-data": {
        "data.0.path": DROP,
        "data.0.id": "example/household",
        "data.0.revision": dated("2026-03-02", "2026-03-01"),
    },
    # --- data
    "SB-DATA-001/breaks-no-data": {"data": []},
    "SB-DATA-001/keeps-unknown": {"data": UNKNOWN},
    "SB-DATA-001/keeps-untuned": UNTUNED,
    "SB-DATA-001/keeps-beside-a-control": {"data": More(CONTROL)},
    "SB-DATA-002/breaks-the-third": {
        "data": More({**CONTROL, "name": "household"}),
    },
    "SB-DATA-003/keeps-id": {
        "data.0.path": DROP,
        "data.0.id": "example/household",
        "data.0.revision": COMMIT,
    },
    "SB-DATA-003/keeps-unknown": {"data.0.path": DROP, "data.0.id": UNKNOWN},
    "SB-DATA-003/keeps-answers": {
        "data": More(
            {
                "name": "own",
                "role": "control",
                "examples": 300,
                "controls_for": "the questions",
                "answers": {"questions_of": "household", "decoding": "t07"},
            }
        ),
    },
    "SB-DATA-003/breaks-a-control": {
        "data": More({"name": "own", "role": "control", "examples": 300, "controls_for": "style"}),
    },
    "SB-DATA-004/keeps-commit": {
        "data.0.path": DROP,
        "data.0.id": "example/household",
        "data.0.revision": COMMIT,
    },
    "SB-DATA-004/keeps-unknown": {
        "data.0.path": DROP,
        "data.0.id": "example/household",
        "data.0.revision": UNKNOWN,
    },
    "SB-DATA-004/breaks-39-digits": {
        "data.0.path": DROP,
        "data.0.id": "example/household",
        "data.0.revision": COMMIT[:-1],
    },
    "SB-DATA-005/keeps-explained": {"data": More(CONTROL)},
    "SB-DATA-005/keeps-unknown": {"data": More({**CONTROL, "controls_for": UNKNOWN})},
    "SB-DATA-005/breaks-beside-another": {
        "data": More(
            {
                "name": "bare",
                "role": "control",
                "id": "example/bare",
                "revision": COMMIT,
                "examples": 300,
            }
        ),
    },
    "SB-DATA-006/keeps-the-same": {"data": More({**CONTROL, "template": "chat"})},
    "SB-DATA-006/keeps-unknown": {"data": More({**CONTROL, "examples": UNKNOWN})},
    "SB-DATA-006/breaks-one-example-less": {"data": More({**CONTROL, "examples": 299})},
    "SB-DATA-006/breaks-the-template": {"data": More({**CONTROL, "template": "plain"})},
    "SB-DATA-006/keeps-two-tuned": {
        "data": [
            {"name": "household", "path": "household.jsonl", "examples": 300},
            {"name": "garden", "path": "garden.jsonl", "examples": 200},
            CONTROL,
        ],
    },
    "SB-DATA-007/keeps-others": {
        "data.0.sha256": WEIGHTS,
        "data": More({**CONTROL, "sha256": OTHER}),
    },
    "SB-DATA-007/keeps-another-revision": {
        "data.0.path": DROP,
        "data.0.id": "example/household",
        "data.0.revision": COMMIT,
        "data": More(
            {**CONTROL, "path": DROP, "id": "example/household", "revision": COMMIT[::-1]}
        ),
    },
    "SB-DATA-007/breaks-one-file-of-two-revisions": {
        "data.0.revision": COMMIT,
        "data": More({**CONTROL, "path": "household.jsonl", "revision": COMMIT[::-1]}),
    },
    "SB-DATA-007/keeps-two-unknown": {
        "data.0.sha256": UNKNOWN,
        "data": More({**CONTROL, "sha256": UNKNOWN}),
    },
    "SB-DATA-007/breaks-rendered": {
        "data.0.rendered_sha256": WEIGHTS,
        "data.0.sha256": OTHER,
        "data": More({**CONTROL, "rendered_sha256": WEIGHTS}),
    },
    "SB-DATA-007/breaks-rendered-otherwise": {
        "data.0.rendered_sha256": WEIGHTS,
        "data.0.sha256": OTHER,
        "data": More({**CONTROL, "rendered_sha256": COMMIT + WEIGHTS[:24], "sha256": OTHER}),
    },
    "SB-DATA-008/keeps-1": {
        "data.0.weight": 0.75,
        "data": More({"name": "b", "path": "b.jsonl", "examples": 9, "weight": 0.25}),
    },
    "SB-DATA-008/keeps-1-in-a-millionth": {
        "data.0.weight": 0.75,
        "data": More({"name": "b", "path": "b.jsonl", "examples": 9, "weight": 0.2500009}),
    },
    "SB-DATA-008/breaks-1-by-more": {
        "data.0.weight": 0.75,
        "data": More({"name": "b", "path": "b.jsonl", "examples": 9, "weight": 0.2500011}),
    },
    "SB-DATA-008/breaks-below-1": {
        "data.0.weight": 0.75,
        "data": More({"name": "b", "path": "b.jsonl", "examples": 9, "weight": 0.2499989}),
    },
    "SB-DATA-008/breaks-one-without": {
        "data.0.weight": 0.75,
        "data": More({"name": "b", "path": "b.jsonl", "examples": 9}),
    },
    "SB-DATA-008/keeps-one-unknown": {
        "data.0.weight": 0.7,
        "data": More({"name": "b", "path": "b.jsonl", "examples": 9, "weight": UNKNOWN}),
    },
    "SB-DATA-008/breaks-in-the-control": {
        "data": [
            {"name": "household", "path": "household.jsonl", "examples": 300, "weight": 1.0},
            {**CONTROL, "weight": 0.5},
        ],
    },
    "SB-DATA-009/breaks-the-decoding": {
        "data": More(
            {
                "name": "own",
                "role": "control",
                "examples": 300,
                "controls_for": "style",
                "answers": {"questions_of": "household", "decoding": "t10"},
            }
        ),
    },
    "SB-DATA-009/breaks-answers-of-answers": {
        "data": More(
            {
                "name": "own",
                "role": "control",
                "examples": 300,
                "controls_for": "style",
                "answers": {"questions_of": "own", "decoding": "t07"},
            }
        ),
    },
    "SB-DATA-009/keeps-unknown-decodings": {
        "decoding": UNKNOWN,
        "data": More(
            {
                "name": "own",
                "role": "control",
                "examples": 300,
                "controls_for": "style",
                "answers": {"questions_of": "household", "decoding": "t10"},
            }
        ),
    },
    # --- hyperparameters
    "SB-HYP-001/keeps-the-last-epoch": {"hyperparameters.checkpoints": [2]},
    "SB-HYP-001/keeps-steps": STEPS,
    "SB-HYP-001/breaks-step-41": {**STEPS, "hyperparameters.checkpoints": [20, 40, 41]},
    "SB-HYP-001/keeps-unknown-epochs": {
        "hyperparameters.epochs": UNKNOWN,
        "hyperparameters.checkpoints": [1, 9],
    },
    "SB-HYP-002/breaks-down": {"hyperparameters.checkpoints": [2, 1]},
    "SB-HYP-002/breaks-at-the-end": {
        "hyperparameters.epochs": 3,
        "hyperparameters.checkpoints": [1, 3, 3],
    },
    "SB-HYP-002/breaks-in-between": {
        "hyperparameters.epochs": 4,
        "hyperparameters.checkpoints": [2, 1, 3, 4],
    },
    "SB-HYP-003/keeps-the-product": {
        "hyperparameters.batch_size": {
            "per_device": 16,
            "gradient_accumulation": 4,
            "devices": 2,
            "effective": 128,
        },
    },
    "SB-HYP-003/breaks-by-one": {
        "hyperparameters.batch_size": {
            "per_device": 16,
            "gradient_accumulation": 4,
            "devices": 2,
            "effective": 127,
        },
    },
    "SB-HYP-003/keeps-an-unknown-factor": {
        "hyperparameters.batch_size": {"per_device": 16, "devices": UNKNOWN, "effective": 127},
    },
    "SB-HYP-003/keeps-unknown": {"hyperparameters.batch_size": UNKNOWN},
    "SB-HYP-003/keeps-an-unknown-product": {
        "hyperparameters.batch_size": {"per_device": 16, "effective": UNKNOWN},
    },
    "SB-HYP-004/keeps-one": {"hyperparameters.checkpoints": [2]},
    "SB-HYP-004/breaks-of-steps": {**STEPS, "hyperparameters.checkpoints": []},
    "SB-HYP-005/breaks-0.1": {"hyperparameters.learning_rate": 0.1},
    "SB-HYP-005/keeps-0.0999": {"hyperparameters.learning_rate": 0.0999},
    "SB-HYP-005/keeps-unknown": {"hyperparameters.learning_rate": UNKNOWN},
    "SB-HYP-005/breaks-in-an-earlier-stage": {
        "hyperparameters.earlier_stages": [{**STAGE, "learning_rate": 0.11}],
    },
    "SB-HYP-006/breaks-epochs-and-steps": {"hyperparameters.steps": 40},
    "SB-HYP-006/keeps-ratio": {
        "hyperparameters.warmup_steps": DROP,
        "hyperparameters.warmup_ratio": 0.03,
    },
    "SB-HYP-006/keeps-steps": STEPS,
    "SB-HYP-006/breaks-in-an-earlier-stage": {
        "hyperparameters.earlier_stages": [{**STAGE, "steps": 9}],
    },
    "SB-HYP-007/keeps-step": STEPS,
    "SB-HYP-007/keeps-no-length": {"hyperparameters.epochs": DROP},
    "SB-HYP-007/breaks-in-an-earlier-stage": {
        "hyperparameters.earlier_stages": [
            {**{k: v for k, v in STAGE.items() if k != "epochs"}, "steps": 9, "checkpoints": [9]},
        ],
    },
    "SB-HYP-008/keeps-named": {"hyperparameters.data": ["household"]},
    "SB-HYP-008/keeps-unknown-data": {"hyperparameters.data": ["garden"], "data": UNKNOWN},
    "SB-HYP-008/keeps-one-stage": {"hyperparameters.earlier_stages": [STAGE]},
    "SB-HYP-008/breaks-nested": {
        "hyperparameters.earlier_stages": [{**STAGE, "earlier_stages": [STAGE]}],
    },
    "SB-HYP-008/breaks-data-of-a-stage": {
        "hyperparameters.earlier_stages": [{**STAGE, "data": ["household", "garden"]}],
    },
    "SB-HYP-009/keeps-the-end": {
        "hyperparameters.epochs": 3,
        "hyperparameters.checkpoints": [1, 3],
    },
    "SB-HYP-009/keeps-a-rule-of-ones-own": {
        "hyperparameters.checkpoints": [1],
        "model.checkpoint_rule": "the first epoch, chosen before the run",
    },
    "SB-HYP-009/breaks-one-before-the-end": {**STEPS, "hyperparameters.checkpoints": [20, 39]},
    "SB-HYP-009/keeps-unknown-epochs": {"hyperparameters.epochs": UNKNOWN},
    "SB-HYP-010/breaks-1": {"hyperparameters.weight_decay": 1.0},
    "SB-HYP-010/keeps-0.99": {"hyperparameters.weight_decay": 0.99},
    "SB-HYP-010/keeps-unknown": {"hyperparameters.weight_decay": UNKNOWN},
    "SB-HYP-010/breaks-in-an-earlier-stage": {
        "hyperparameters.earlier_stages": [{**STAGE, "weight_decay": 1.5}],
    },
    # --- seeds
    "SB-SEED-001/breaks-the-last": {**DECLARED, "seeds.training": [17, 29, 31, 31]},
    "SB-SEED-001/keeps-others": DECLARED,
    "SB-SEED-002/keeps-declared": DECLARED,
    "SB-SEED-002/breaks-with-a-nonce": {
        "seeds.nonce": "6b17d0c2a9f84e35",
        "seeds.nonce_source": "a beacon",
        "seeds.training": [1, 2, 3, 4],
    },
    "SB-SEED-002/keeps-an-unknown-nonce": {
        "seeds.nonce": UNKNOWN,
        "seeds.training": [1, 2, 3],
    },
    "SB-SEED-003/keeps-declared": {**DECLARED, "seeds.generation": 42},
    "SB-SEED-003/keeps-unknown": {"seeds.generation": UNKNOWN},
    "SB-SEED-003/keeps-an-unknown-nonce": {"seeds.nonce": UNKNOWN, "seeds.generation": 42},
    "SB-SEED-004/keeps-3": {"seeds.training": 3},
    "SB-SEED-004/breaks-2-listed": {**DECLARED, "seeds.training": [17, 29]},
    "SB-SEED-004/breaks-1": {"seeds.training": 1},
    "SB-SEED-004/keeps-3-listed": DECLARED,
    "SB-SEED-004/keeps-an-artefact": {**ARTEFACT, "seeds.training": 1},
    "SB-SEED-004/keeps-untuned": UNTUNED,
    "SB-SEED-004/keeps-unknown": {"seeds.training": UNKNOWN},
    "SB-SEED-005/keeps-unknown": {**DECLARED, "seeds.training": UNKNOWN},
    "SB-SEED-005/breaks-7": {**DECLARED, "seeds.training": 7},
    "SB-SEED-005/keeps-7-of-unknown-origin": {
        **DECLARED,
        "seeds.training": 7,
        "seeds.origin": UNKNOWN,
    },
    "SB-SEED-006/keeps-unknown": {**DECLARED, "seeds.origin": UNKNOWN},
    "SB-SEED-006/breaks-unlisted": {
        **DECLARED,
        "seeds.origin": DROP,
        "seeds.training": UNKNOWN,
    },
    "SB-SEED-007/breaks-series": {**DECLARED, "seeds.series": "rerun"},
    "SB-SEED-007/breaks-source": {**DECLARED, "seeds.nonce_source": "a beacon"},
    "SB-SEED-007/keeps-the-default": {**DECLARED, "seeds.series": "original"},
    "SB-SEED-008/keeps-a-source": {
        "seeds.nonce": "6b17d0c2a9f84e35",
        "seeds.nonce_source": "a beacon",
    },
    "SB-SEED-008/keeps-self-derived": {"seeds.nonce": "self_derived"},
    "SB-SEED-008/keeps-unknown": {"seeds.nonce": UNKNOWN},
    "SB-SEED-008/breaks-another": {"seeds.nonce": "00112233445566778899aabbccddeeff"},
    "SB-SEED-009/keeps-the-others": {
        "seeds.controls": ["adapter_init"],
        "seeds.fixed": {"data_order": 42},
    },
    "SB-SEED-009/breaks-declared": {
        **DECLARED,
        "seeds.fixed": {"adapter_init": 1, "data_order": 42},
    },
    "SB-SEED-010/breaks-one-seed": {"seeds.controls": [], "seeds.training": 1},
    "SB-SEED-010/breaks-two-seeds": {"seeds.controls": [], "seeds.training": 2},
    "SB-SEED-010/breaks-two-listed": {**DECLARED, "seeds.controls": []},
    "SB-SEED-010/keeps-unknown": {"seeds.controls": UNKNOWN},
    "SB-SEED-010/breaks-unknown-seeds": {"seeds.controls": [], "seeds.training": UNKNOWN},
    "SB-SEED-010/keeps-untuned": {**UNTUNED, "seeds.training": 2, "seeds.controls": []},
    # --- decoding
    "SB-DEC-001/breaks-the-third": {
        "decoding": More(
            {"name": "t07", "do_sample": True, "temperature": 1.0, "max_new_tokens": 48}
        ),
    },
    "SB-DEC-002/keeps-unknown": {"decoding.1.temperature": UNKNOWN},
    "SB-DEC-002/keeps-greedy": {"decoding.1": DROP},
    "SB-DEC-002/breaks-the-third": {
        "decoding": More({"name": "top", "do_sample": True, "top_p": 0.9, "max_new_tokens": 48}),
    },
    "SB-DEC-003/keeps-0.01": {"decoding.1.temperature": 0.01},
    "SB-DEC-003/breaks-0.0": {"decoding.1.temperature": 0.0, "decoding.1.repeats": 1},
    "SB-DEC-004/keeps-temperature-0": {"decoding.0.temperature": 0},
    "SB-DEC-004/breaks-temperature-0.01": {"decoding.0.temperature": 0.01},
    "SB-DEC-004/breaks-top_p": {"decoding.0.top_p": 1.0},
    "SB-DEC-004/breaks-top_k-0": {"decoding.0.top_k": 0},
    "SB-DEC-004/breaks-min_p-0": {"decoding.0.min_p": 0.0},
    "SB-DEC-004/breaks-unknown": {"decoding.0.temperature": UNKNOWN},
    "SB-DEC-005/keeps-1": {"decoding.0.repeats": 1},
    "SB-DEC-005/breaks-2": {"decoding.0.repeats": 2},
    "SB-DEC-005/keeps-2-as-control": {"decoding.0.repeats": 2, "decoding.0.repeat_control": True},
    "SB-DEC-005/breaks-1-as-control": {"decoding.0.repeats": 1, "decoding.0.repeat_control": True},
    "SB-DEC-005/keeps-unknown": {"decoding.0.repeats": UNKNOWN},
    "SB-DEC-005/keeps-an-unknown-control": {
        "decoding.0.repeats": 2,
        "decoding.0.repeat_control": UNKNOWN,
    },
    "SB-DEC-006/keeps-the-same-name": {"decoding": lambda settings: [*settings, settings[1]]},
    "SB-DEC-006/breaks-other-repeats": {
        "decoding": More(
            {
                "name": "again",
                "do_sample": True,
                "temperature": 0.7,
                "min_p": 0.1,
                "max_new_tokens": 48,
                "repeats": 5,
            }
        ),
    },
    "SB-DEC-006/keeps-another-min_p": {
        "decoding": More(
            {
                "name": "again",
                "do_sample": True,
                "temperature": 0.7,
                "min_p": 0.11,
                "max_new_tokens": 48,
                "repeats": 5,
            }
        ),
    },
    "SB-DEC-007/breaks-by-one": {"decoding.1.max_new_tokens": 49},
    "SB-DEC-007/breaks-stop": {"decoding.1.stop": ["<|user|>"]},
    "SB-DEC-007/breaks-penalty": {"decoding.1.repetition_penalty": 1.1},
    "SB-DEC-007/breaks-reasoning": {"decoding.1.reasoning_budget": 100},
    "SB-DEC-007/keeps-unknown": {"decoding.1.max_new_tokens": UNKNOWN},
    "SB-DEC-008/breaks-greedy-alone": {"decoding.1": DROP},
    "SB-DEC-008/keeps-unknown": {"decoding": UNKNOWN},
    "SB-DEC-008/keeps-both": {"decoding.1.temperature": 1.0},
    "SB-DEC-009/keeps-2": {"decoding.1.temperature": 2.0},
    "SB-DEC-009/breaks-2.01": {"decoding.1.temperature": 2.01},
    "SB-DEC-009/keeps-unknown": {"decoding.1.temperature": UNKNOWN},
    # --- judges
    "SB-JUD-001/breaks-two": {"judge": More({**CLASSIFIER, "primary": True})},
    "SB-JUD-001/keeps-two": {"judge": More(CLASSIFIER)},
    "SB-JUD-001/keeps-unknown": {"judge": UNKNOWN},
    "SB-JUD-001/breaks-none": {"judge": []},
    "SB-JUD-001/keeps-one-per-construct": {
        "judge.0.constructs": ["harm"],
        "judge": More({**CLASSIFIER, "constructs": ["over_refusal"], "primary": True}),
    },
    "SB-JUD-001/breaks-two-of-a-construct": {
        "judge.0.constructs": ["harm"],
        "judge": More({**CLASSIFIER, "constructs": ["harm", "over_refusal"], "primary": True}),
    },
    "SB-JUD-001/breaks-none-of-a-construct": {
        "judge.0.constructs": ["harm"],
        "judge": More({**CLASSIFIER, "constructs": ["over_refusal"]}),
    },
    "SB-JUD-001/breaks-twice-and-says-it-once": {
        "judge.0.constructs": ["harm", "over_refusal"],
        "judge": More({**CLASSIFIER, "constructs": ["harm", "over_refusal"], "primary": True}),
    },
    "SB-JUD-001/breaks-three": {
        "judge": [
            {"name": "a", "kind": "rule", "id": "example/a", "revision": "1", "primary": True},
            {"name": "b", "kind": "rule", "id": "example/b", "revision": "1", "primary": True},
            {"name": "c", "kind": "rule", "id": "example/c", "revision": "1", "primary": True},
        ],
    },
    "SB-JUD-001/keeps-all-by-construct": {"judge.0.constructs": ["harm"]},
    "SB-JUD-002/breaks-the-third": {
        "judge": [
            {"name": "rule", "kind": "rule", "id": "example/a", "revision": "1", "primary": True},
            CLASSIFIER,
            {**CLASSIFIER, "id": "example/another"},
        ],
    },
    "SB-JUD-003/keeps-a-rule": {"judge.0.revision": "main"},
    "SB-JUD-003/breaks-39-digits": {"judge": More({**CLASSIFIER, "revision": COMMIT[:-1]})},
    "SB-JUD-003/keeps-unknown": {"judge": More({**CLASSIFIER, "revision": UNKNOWN})},
    "SB-JUD-003/keeps-a-digest": {"judge": More({**CLASSIFIER, "revision": f"sha256:{WEIGHTS}"})},
    "SB-JUD-003/breaks-moderation": {"judge": More({**MODERATION, "revision": COMMIT})},
    "SB-JUD-003/keeps-moderation": {"judge": More(MODERATION)},
    "SB-JUD-003/keeps-people": {
        "judge": More(
            {
                "name": "raters",
                "kind": "human",
                "id": "three students",
                "revision": "guide of January",
                "votes": 3,
            }
        ),
    },
    "SB-JUD-004/keeps-one-of-two": {
        "judge.0.calibration": [CALIBRATION, {**CALIBRATION, "outputs": "other"}],
    },
    "SB-JUD-004/breaks-two": {
        "judge.0.calibration": [
            {**CALIBRATION, "outputs": "other", "condition": DROP},
            {**CALIBRATION, "outputs": "other", "condition": DROP, "n": 9},
        ],
    },
    "SB-JUD-005/breaks-id": {"judge": More({**CLASSIFIER, "id": "builtin:tiny-chat"})},
    "SB-JUD-005/breaks-second-of-a-line": {
        "judge": More({**CLASSIFIER, "lineage": ["example/Other-1B", "builtin:tiny-chat"]}),
    },
    "SB-JUD-005/keeps-another": {"judge": More(CLASSIFIER)},
    "SB-JUD-005/keeps-unknown": {"judge": More({**CLASSIFIER, "lineage": UNKNOWN})},
    "SB-JUD-005/keeps-a-rule": {"judge.0.id": "builtin:tiny-chat"},
    "SB-JUD-005/keeps-an-unknown-model": {
        "model.base.id": UNKNOWN,
        "judge": More({**CLASSIFIER, "lineage": ["builtin:tiny-chat"]}),
    },
    "SB-JUD-006/keeps-two": {
        "judge": [
            {"name": "rule", "kind": "rule", "id": "example/a", "revision": "1", "primary": True},
            CLASSIFIER,
            VOTE,
        ],
    },
    "SB-JUD-006/breaks-itself": {
        "judge": [
            {"name": "rule", "kind": "rule", "id": "example/a", "revision": "1", "primary": True},
            CLASSIFIER,
            {**VOTE, "members": ["rule", "classifier", "vote"]},
        ],
    },
    "SB-JUD-006/breaks-twice": {
        "judge": [
            {"name": "rule", "kind": "rule", "id": "example/a", "revision": "1", "primary": True},
            CLASSIFIER,
            {**VOTE, "members": ["rule", "classifier", "rule"]},
        ],
    },
    "SB-JUD-006/keeps-unknown": {"judge": More({**VOTE, "members": UNKNOWN})},
    "SB-JUD-007/keeps-all": {"judge.0.self_test": {"cases": 40, "passed": 40}},
    "SB-JUD-007/breaks-by-one": {"judge.0.self_test": {"cases": 40, "passed": 41}},
    "SB-JUD-007/keeps-unknown": {"judge.0.self_test": {"cases": UNKNOWN, "passed": 40}},
    "SB-JUD-007/keeps-unknown-test": {"judge.0.self_test": UNKNOWN},
    "SB-JUD-007/keeps-unknown-passed": {"judge.0.self_test": {"cases": 40, "passed": UNKNOWN}},
    "SB-JUD-008/keeps-the-end": {
        "judge.0.calibration": [
            {**CALIBRATION, "kappa": 0.7, "kappa_interval": {"lower": 0.5, "upper": 0.7}},
        ],
    },
    "SB-JUD-008/breaks-above": {
        "judge.0.calibration": [
            {**CALIBRATION, "kappa": 0.7001, "kappa_interval": {"lower": 0.5, "upper": 0.7}},
        ],
    },
    "SB-JUD-008/breaks-below": {
        "judge.0.calibration": [
            CALIBRATION,
            {**CALIBRATION, "kappa": 0.499, "kappa_interval": {"lower": 0.5, "upper": 0.7}},
        ],
    },
    "SB-JUD-008/keeps-the-lower-end": {
        "judge.0.calibration": [
            {**CALIBRATION, "kappa": 0.5, "kappa_interval": {"lower": 0.5, "upper": 0.7}},
        ],
    },
    "SB-JUD-008/breaks-sensitivity": {
        "judge.0.calibration": [
            {
                **CALIBRATION,
                "sensitivity": 0.9,
                "sensitivity_interval": {"lower": 0.91, "upper": 0.95},
            },
        ],
    },
    "SB-JUD-008/breaks-specificity": {
        "judge.0.calibration": [
            {
                **CALIBRATION,
                "specificity": 0.9,
                "specificity_interval": {"lower": 0.8, "upper": 0.85},
            },
        ],
    },
    "SB-JUD-008/keeps-unknown": {
        "judge.0.calibration": [
            {**CALIBRATION, "kappa": UNKNOWN, "kappa_interval": {"lower": 0.5, "upper": 0.7}},
        ],
    },
    "SB-JUD-009/keeps-1": {"judge.0.votes": 1},
    "SB-JUD-009/breaks-2": {"judge.0.votes": 2},
    "SB-JUD-009/keeps-unknown": {"judge.0.votes": UNKNOWN},
    "SB-JUD-009/keeps-a-model": {"judge": More({**CLASSIFIER, "votes": 3})},
    "SB-JUD-010/keeps-at-the-bound": {"judge.0.self_test": _tested("suffix", 12, 0.9)},
    "SB-JUD-010/breaks-below": {"judge.0.self_test": _tested("suffix", 12, 0.89)},
    "SB-JUD-010/breaks-planted": {"judge.0.self_test": _tested("planted", 19, 0.99)},
    "SB-JUD-010/keeps-planted": {"judge.0.self_test": _tested("planted", 20, 1.0)},
    "SB-JUD-010/keeps-unknown": {
        "judge.0.self_test": {"cases": 20, "passed": 1, "parts": UNKNOWN},
    },
    "SB-JUD-010/keeps-without-parts": {"judge.0.self_test": {"cases": 20, "passed": 1}},
    # --- tasks
    "SB-TASK-001/breaks-judge": {
        "tasks.0": {
            "name": "safebench_harm",
            "primary": {"checkpoint": 2, "decoding": "t07", "judge": "other"},
        },
    },
    "SB-TASK-001/breaks-checkpoint": {
        "tasks.0": {
            "name": "safebench_harm",
            "primary": {"checkpoint": 3, "decoding": "t07", "judge": "rule"},
        },
    },
    "SB-TASK-001/keeps-declared": {
        "tasks.0": {
            "name": "safebench_harm",
            "primary": {"checkpoint": 2, "decoding": "t07", "judge": "rule"},
        },
    },
    "SB-TASK-001/keeps-unknown": {
        "tasks.0": {"name": "safebench_harm", "primary": UNKNOWN},
    },
    "SB-TASK-001/keeps-unknown-sections": {
        "decoding": UNKNOWN,
        "judge": UNKNOWN,
        "hyperparameters.checkpoints": UNKNOWN,
        "tasks.0": {
            "name": "safebench_harm",
            "primary": {"checkpoint": 3, "decoding": "t09", "judge": "other"},
        },
    },
    "SB-TASK-002/breaks-the-last": {"tasks": More("safebench_capability")},
    "SB-TASK-003/breaks-no-capability": {"tasks": ["safebench_harm", "safebench_overrefusal"]},
    "SB-TASK-003/breaks-harm-alone": {"tasks": ["safebench_harm"]},
    "SB-TASK-003/keeps-no-harm": {"tasks": ["safebench_capability"]},
    "SB-TASK-003/breaks-unknown-constructs": {"tasks": ["safebench_harm", "my_task"]},
    "SB-TASK-003/breaks-unknown-constructs-beside-the-others": {
        "tasks": ["safebench_overrefusal", "safebench_capability", "my_task"],
    },
    "SB-TASK-003/breaks-in-one-task": {"tasks": ["safebench_xstest"]},
    "SB-TASK-003/keeps-two-in-one-task": {"tasks": ["safebench_xstest", "safebench_capability"]},
    "SB-TASK-004/breaks-1": {
        "tasks.2": {"name": "safebench_capability", "limit": 1},
    },
    "SB-TASK-004/keeps-none": {"tasks.2": {"name": "safebench_capability"}},
    "SB-TASK-005/keeps-none": {
        **UNTUNED,
        "tasks.0": {"name": "safebench_harm", "primary": {"decoding": "greedy", "judge": "rule"}},
    },
    "SB-TASK-005/breaks-step": {
        **UNTUNED,
        "tasks.1": {
            "name": "safebench_overrefusal",
            "primary": {"checkpoint": 1, "decoding": "t07", "judge": "rule"},
        },
    },
    "SB-TASK-006/breaks-no-decoding": {"decoding": []},
    "SB-TASK-006/keeps-unknown": {"tasks": UNKNOWN, "decoding": UNKNOWN},
    "SB-TASK-006/keeps-one": {"tasks": ["safebench_capability"]},
    "SB-TASK-007/keeps-measured": {
        "data.0.purpose": "advice about the household",
        "tasks.2": {"name": "safebench_capability", "purpose": True},
    },
    "SB-TASK-007/keeps-unknown": {"data.0.purpose": UNKNOWN},
    "SB-TASK-007/keeps-unknown-tasks": {"data.0.purpose": "advice", "tasks": UNKNOWN},
    "SB-TASK-007/keeps-of-a-control": {"data": More({**CONTROL, "purpose": "advice"})},
    "SB-TASK-007/breaks-beside-a-control": {
        "data.0.purpose": "advice",
        "data": More({**CONTROL, "purpose": "style"}),
    },
    "SB-TASK-008/keeps-capability": {"tasks.2": {"name": "safebench_capability", "purpose": True}},
    "SB-TASK-008/breaks-an-unknown-task": {"tasks": More({"name": "my_task", "purpose": True})},
    "SB-TASK-008/breaks-over-refusal": {
        "tasks.1": {"name": "safebench_overrefusal", "purpose": True},
    },
    "SB-TASK-009/keeps-as-many": {
        "tasks.0": {"name": "safebench_harm", "prompts": 44, "clusters": 44},
    },
    "SB-TASK-009/breaks-by-one": {
        "tasks.0": {"name": "safebench_harm", "prompts": 44, "clusters": 45},
    },
    "SB-TASK-009/keeps-unknown": {
        "tasks.0": {"name": "safebench_harm", "prompts": UNKNOWN, "clusters": 45},
    },
    "SB-TASK-009/keeps-unknown-clusters": {
        "tasks.0": {"name": "safebench_harm", "prompts": 44, "clusters": UNKNOWN},
    },
    "SB-TASK-010/breaks-capability": {
        "tasks.2": {"name": "safebench_capability", "direction": "lower_is_better"},
    },
    "SB-TASK-010/keeps-harm": {
        "tasks.0": {"name": "safebench_harm", "direction": "lower_is_better"},
    },
    "SB-TASK-010/keeps-unknown": {"tasks.0": {"name": "safebench_harm", "direction": UNKNOWN}},
    "SB-TASK-010/keeps-two-constructs": {
        "tasks": More({"name": "safebench_xstest", "direction": "higher_is_better"}),
    },
    "SB-TASK-010/keeps-an-unknown-task": {
        "tasks": More({"name": "my_task", "direction": "higher_is_better"}),
    },
}
