"""What two protocols do differently: all that the digest covers, each thing once."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from safebench.card.card import Card
from safebench.card.differences import (
    ProtocolDifferences,
    environment_differences,
    protocol_differences,
    same_entry,
)
from safebench.card.digest import protocol_digest
from safebench.card.io import load_document
from tests.conformance.runner import VALID
from tests.plans import plan_data

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA = "ab" * 32
NOT_SAID = {"not_reported": "the paper does not say"}


def card(data: dict[str, Any]) -> Card:
    return Card.model_validate_json(json.dumps(data))


def edited(data: dict[str, Any], *path: str | int, to: Any) -> dict[str, Any]:
    """A copy of a card's data with one value changed, added, or (by None) taken away."""
    found = copy.deepcopy(data)
    here: Any = found
    for part in path[:-1]:
        here = here[part]
    if to is None:
        del here[path[-1]]
    else:
        here[path[-1]] = to
    return found


PLAN = plan_data()


def between(a: dict[str, Any], b: dict[str, Any]) -> ProtocolDifferences:
    return protocol_differences(card(a), card(b))


def named(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    return [str(variable) for variable in between(a, b).variables]


@pytest.mark.parametrize(
    ("path", "to", "expected"),
    [
        (("hyperparameters", "learning_rate"), 0.02, "hyperparameters.learning_rate 0.01 -> 0.02"),
        (("hyperparameters", "lora", "r"), 8, "hyperparameters.lora.r 4 -> 8"),
        (
            ("hyperparameters", "batch_size"),
            {"per_device": 4, "gradient_accumulation": 2},
            "hyperparameters.batch_size 8 (8 x 1 x 1) -> 8 (4 x 2 x 1)",
        ),
        (
            ("hyperparameters", "objective"),
            {"kind": "dpo", "beta": 0.1},
            "hyperparameters.objective sft -> dpo",
        ),
        (("hyperparameters", "epochs"), 3, "hyperparameters.epochs 2 -> 3"),
        (("hyperparameters", "packing"), True, "hyperparameters.packing false -> true"),
        (
            ("hyperparameters", "earlier_stages"),
            [PLAN["hyperparameters"]],
            "hyperparameters.earlier_stages 0 -> 1",
        ),
        (("model", "dtype"), "bfloat16", "model.dtype float32 -> bfloat16"),
        (("model", "base", "id"), "other", "model.base model -> other"),
        (
            ("model", "chat_template", "date"),
            "2026-11-27",
            "model.chat_template.date absent -> 2026-11-27",
        ),
        (
            ("model", "chat_template", "arguments"),
            {"enable_thinking": False},
            "model.chat_template.arguments absent -> enable_thinking false",
        ),
        (("data", 0, "template"), "plain", "data.benign.template chat -> plain"),
        (
            ("data", 0),
            {"name": "dolly", "examples": 30},
            "data (tuned) benign -> dolly",
        ),
        (
            ("seeds", "controls"),
            ["data_order"],
            "seeds.controls [adapter_init, data_order, dropout] -> [data_order]",
        ),
        (("seeds", "fixed"), {"dropout": 3}, "seeds.fixed absent -> dropout 3"),
        (
            ("prompting",),
            {"attack": {"name": "gcg", "budget": 20}},
            "prompting.attack none -> gcg",
        ),
        (("decoding", 1, "temperature"), 1.0, "decoding.t07.temperature 0.7 -> 1"),
        (("decoding", 1, "min_p"), None, "decoding.t07.min_p 0.1 -> absent"),
        (
            ("decoding", 0),
            {"name": "greedy", "do_sample": True, "temperature": 1.0, "max_new_tokens": 6},
            "decoding.greedy greedy -> sampled",
        ),
        (("judge", 0, "revision"), "2", "judge.rule.revision 1 -> 2"),
        (("judge", 0, "id"), "lab/rule", "judge.rule safebench/refusal-rule 1 -> lab/rule 1"),
        (("judge", 0, "sees"), "response", "judge.rule.sees prompt_and_response -> response"),
    ],
)
def test_one_edit_is_one_variable(path: tuple[str | int, ...], to: Any, expected: str) -> None:
    assert named(PLAN, edited(PLAN, *path, to=to)) == [expected]


def test_what_follows_from_a_difference_is_not_named_again() -> None:
    method = dict(PLAN["hyperparameters"], method="full")
    del method["lora"]
    assert named(PLAN, plan_data(hyperparameters=method)) == ["hyperparameters.method lora -> full"]
    untuned = plan_data(hyperparameters={"method": "none"}, data=[])
    assert named(PLAN, untuned) == ["hyperparameters.method lora -> none"]
    steps = {**PLAN["hyperparameters"], "steps": 90, "checkpoint_unit": "step"}
    del steps["epochs"]
    assert named(PLAN, plan_data(hyperparameters=steps)) == [
        "hyperparameters.length epochs 2 -> steps 90"
    ]


def dataset(**fields: Any) -> dict[str, Any]:
    return plan_data(data=[{"name": "benign", "examples": 24, **fields}])


def test_another_file_is_one_variable() -> None:
    one = dataset(sha256=SHA, rendered_sha256=SHA, split="train")
    other = dataset(sha256="cd" * 32, rendered_sha256="ef" * 32, examples=20)
    assert named(one, other) == [
        "data.benign sha256 abababab… of 24 examples -> sha256 cdcdcdcd… of 20 examples"
    ]
    found = between(PLAN, edited(PLAN, "data", 0, "name", to="dolly"))
    assert found.variables == ()
    assert "data (tuned) benign -> dolly" in map(str, found.unknown)  # no digest tells
    # the same file under another name and from another place
    renamed = plan_data(data=[{"name": "x", "path": "y", "sha256": SHA, "examples": 24}])
    found = between(dataset(sha256=SHA), renamed)
    assert found.variables == ()
    assert found.extent == ("data.benign of A is data.x of B",)


def test_a_model_is_its_bytes_or_its_commit() -> None:
    def model(template: dict[str, Any] | None = None, **base: Any) -> dict[str, Any]:
        return plan_data(model={"base": base, "chat_template": template or {"source": "tokenizer"}})

    local = model(id="here", revision=f"sha256:{SHA}")
    assert named(local, model(id="there", revision=f"sha256:{SHA}")) == []
    hub = model(id="a/b", revision=COMMIT)
    assert named(hub, model(id="a/b", revision="f" * 40)) == [
        "model.base.revision 01234567… -> ffffffff…"
    ]
    # another model brings its own template with it; a template of its own is another variable
    own = model({"source": "tokenizer", "sha256": SHA}, id="a/b", revision=COMMIT)
    new = model({"source": "tokenizer", "sha256": "c" * 64}, id="c/d", revision=COMMIT)
    assert named(own, new) == ["model.base a/b 01234567… -> c/d 01234567…"]
    file = model({"source": "file", "path": "t", "sha256": "c" * 64}, id="a/b", revision=COMMIT)
    assert named(own, file) == ["model.chat_template tokenizer -> file"]


def test_what_is_not_reported_cannot_be_told() -> None:
    silent = edited(PLAN, "hyperparameters", "learning_rate", to=NOT_SAID)
    found = between(PLAN, silent)
    assert found.variables == ()
    assert [str(v) for v in found.unknown if v.section == "hyperparameters"] == [
        "hyperparameters.learning_rate 0.01 -> not reported"
    ]
    both = between(silent, silent)
    assert "hyperparameters.learning_rate not reported -> not reported" in map(str, both.unknown)
    unpinned = edited(PLAN, "judge", 0, "revision", to={"unpinnable": "an alias"})
    assert "judge.rule.revision 1 -> cannot be pinned" in map(str, between(PLAN, unpinned).unknown)
    for section in ("data", "decoding", "judge", "tasks", "prompting", "hyperparameters", "seeds"):
        assert section in {v.name for v in between(PLAN, plan_data(**{section: NOT_SAID})).unknown}


def test_batch_sizes_of_which_a_factor_is_not_reported() -> None:
    def batch(**size: Any) -> dict[str, Any]:
        return edited(PLAN, "hyperparameters", "batch_size", to={"per_device": NOT_SAID, **size})

    assert named(batch(effective=64), batch(effective=32)) == [
        "hyperparameters.batch_size.effective 64 -> 32"
    ]
    known = edited(PLAN, "hyperparameters", "batch_size", to={"per_device": 64})
    assert named(batch(effective=32), known) == ["hyperparameters.batch_size.effective 32 -> 64"]
    found = between(batch(effective=64), known)
    assert found.variables == ()
    assert "hyperparameters.batch_size.per_device" in {v.name for v in found.unknown}


def test_a_plan_whose_digests_are_not_filled_in_cannot_be_told_from_its_run() -> None:
    run = edited(PLAN, "data", 0, "sha256", to=SHA)
    found = between(PLAN, edited(run, "model", "base", "revision", to=f"sha256:{SHA}"))
    assert found.variables == ()
    assert {"data.benign.sha256", "model.base.revision"} <= {v.name for v in found.unknown}


def test_how_much_was_measured_is_no_variable() -> None:
    more = edited(edited(PLAN, "seeds", "training", to=5), "decoding", 1, "repeats", to=4)
    more["tasks"] = [*more["tasks"][:2], "safebench_xstest"]
    more["tasks"][0] = {"name": "safebench_harm", "limit": 4}
    more["decoding"].append({"name": "t1", "do_sample": True, "max_new_tokens": 6})
    found = between(PLAN, more)
    assert found.variables == ()
    assert found.extent == (
        "decoding.t07.repeats: 2 in A, 4 in B",
        "decoding.t1 only in B",
        "tasks.safebench_harm.limit: 8 in A, 4 in B",
        "tasks.safebench_capability only in A",
        "tasks.safebench_xstest only in B",
        "training seeds: 2 in A, 5 in B",
    )


def test_prompts_and_versions_of_a_task() -> None:
    def tasks(**fields: Any) -> dict[str, Any]:
        return plan_data(tasks=[{"name": "t", "version": "1", "dataset_sha256": SHA, **fields}])

    assert named(tasks(), tasks(dataset_sha256="cd" * 32)) == [
        "tasks.t.dataset_sha256 sha256 abababab… -> sha256 cdcdcdcd…"
    ]
    assert named(tasks(), tasks(version="2", dataset_sha256="cd" * 32)) == [
        "tasks.t.version 1 -> 2"
    ]
    assert named(tasks(), tasks(limit=3, dataset_sha256="cd" * 32)) == []


def test_no_text_of_a_system_prompt_is_shown() -> None:
    other = plan_data(prompting={"system_prompt": "Never tell the secret word"})
    (found,) = between(PLAN, other).variables
    assert "secret" not in str(found)
    assert "26 characters" in found.b


def test_only_what_touches_a_score_counts_for_it() -> None:
    other = edited(PLAN, "hyperparameters", "learning_rate", to=0.5)
    other = edited(other, "decoding", 1, "temperature", to=1.0)
    other["data"].append({"name": "own", "role": "control", "examples": 3})
    found = between(PLAN, other)

    def touching(conditions: set[str], decoding: str) -> list[str]:
        used = found.touching(conditions, {decoding}, {"rule"}, {"safebench_harm"})
        return [variable.name for variable in used]

    assert touching({"tuned"}, "greedy") == ["hyperparameters.learning_rate"]
    assert touching({"tuned"}, "t07") == [
        "hyperparameters.learning_rate",
        "decoding.t07.temperature",
    ]
    assert touching({"control"}, "greedy") == ["data (control)", "hyperparameters.learning_rate"]
    assert touching({"base"}, "greedy") == []


def test_judges_and_decodings_under_another_name() -> None:
    other = edited(PLAN, "judge", 0, "name", to="by-rule")
    assert named(PLAN, other) == []
    assert same_entry("judge", card(PLAN), "rule", card(other), "by-rule")
    assert not same_entry("decoding", card(PLAN), "greedy", card(PLAN), "t07")
    assert same_entry("judge", card(PLAN), "unknown", card(PLAN), "unknown")


EXAMPLES = ("complete-plan", "stages-plan", "api-plan", "paper-llama-dolly")
DATA: dict[str, Any] = {name: load_document(VALID / f"{name}.yaml").data for name in EXAMPLES}


def leaves(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items: Any = ()
    if isinstance(data, dict):
        items = data.items()
    elif isinstance(data, list):
        items = enumerate(data)
    for key, value in items:
        yield from leaves(value, (*path, key))
    if not isinstance(data, dict | list):
        yield path


def changed(value: Any) -> list[Any]:
    """Other values of the same kind, one of which the schema may allow, and an absence."""
    if isinstance(value, bool):
        return [not value, NOT_SAID]
    if isinstance(value, int | float):
        return [value + 1, value / 2, NOT_SAID]
    return [f"{value}x", value[::-1], NOT_SAID]


SKIPPED = ("submission", "results", "evidence", "environment", "spec")
SAYS_NOTHING = {
    "complete-plan": ("effective",),  # the product of factors that are given
    "stages-plan": ("effective", "path"),  # the path of a template whose digest is given
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_whatever_changes_the_digest_is_named_and_nothing_else(name: str) -> None:
    data = DATA[name]
    original = card(data)
    itself = protocol_differences(original, original)
    assert (itself.variables, itself.extent) == ((), ())
    tried = 0
    for path in leaves(data):
        if path[0] in SKIPPED or path[-1] in ("not_reported", *SAYS_NOTHING.get(name, ())):
            continue
        for to in changed(parent(data, path)[path[-1]]):
            try:
                other = card(edited(data, *path, to=to))
            except ValidationError:
                continue
            tried += 1
            found = protocol_differences(original, other)
            back = protocol_differences(other, original)
            assert [(v.name, v.b, v.a) for v in back.variables] == [
                (v.name, v.a, v.b) for v in found.variables
            ], path
            if protocol_digest(other) == protocol_digest(original):
                assert found.variables == (), path
            else:
                known = len(itself.unknown)
                assert found.variables or found.extent or len(found.unknown) > known, path
    assert tried > 30


def parent(data: Any, path: tuple[str | int, ...]) -> Any:
    for part in path[:-1]:
        data = data[part]
    return data


def test_environments_are_named_side_by_side() -> None:
    absent = card(PLAN)
    assert environment_differences(absent, absent, ("A", "B")) == [
        "A's environment is not reported"
    ]
