"""Protocol digest and derived seeds: the published vectors, and what may change them."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from safebench.card.card import Card
from safebench.card.digest import (
    derive_seed,
    derive_seeds,
    generation_seed,
    measurement_digest,
    protocol_digest,
)
from safebench.card.io import card_text, load_card, parse_card, parse_document
from safebench.card.results import PrimaryEstimand
from tests.conformance.runner import VALID
from tests.plans import plan_data

SPEC = Path(__file__).resolve().parents[2] / "spec" / "v1" / "seeds.md"

# Whoever changes one of these changes every derived seed of such a card that was published.
DIGESTS = dict(re.findall(r"^\| `(\S+\.yaml)` \| `([0-9a-f]{64})` \|", SPEC.read_text(), re.M))


def card(**changes: Any) -> Card:
    return Card.model_validate_json(json.dumps({**plan_data(), **changes}))


def changed(pointer: str, value: Any) -> Card:
    data: Any = copy.deepcopy(plan_data())
    *path, last = pointer.split("/")
    here = data
    for part in path:
        here = here[int(part)] if part.isdigit() else here[part]
    here[int(last) if last.isdigit() else last] = value
    return card(**data)


def test_every_valid_example_has_its_vector() -> None:
    found = [*VALID.glob("*.yaml"), *VALID.glob("*/card.yaml")]
    assert {path.relative_to(VALID).as_posix() for path in found} == set(DIGESTS)


@pytest.mark.parametrize("name", DIGESTS)
def test_the_digest_of_an_example_stays_whatever_is_written_of_its_defaults(name: str) -> None:
    example = load_card(VALID / name)
    assert protocol_digest(example) == DIGESTS[name]
    written, problems = parse_card(parse_document(card_text(example).encode(), "card.yaml"))
    assert written is not None
    assert problems == []
    assert protocol_digest(written) == DIGESTS[name]
    bare = example.model_dump_json(exclude_defaults=True)
    assert protocol_digest(Card.model_validate_json(bare)) == DIGESTS[name]


def test_seeds_are_those_of_the_specification() -> None:
    text = SPEC.read_text()
    digest = re.search(r"^Digest `([0-9a-f]{64})`", text, re.M)
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (\d) \| (\d+) \|$", text, re.M)
    assert digest is not None
    assert len(rows) == 5
    for series, role, index, seed in rows:
        found = derive_seed(digest.group(1), "self_derived", series, role, int(index))
        assert found == int(seed)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("submission/title", "Another title"),
        ("submission/submitter/name", "Somebody else"),
        ("seeds/training", 10),
        ("decoding/1/repeats", 9),
        ("hyperparameters/checkpoints", [2]),
        ("data/0/path", "elsewhere.jsonl"),
        ("judge/0/name", "other"),
        ("judge/0/self_test", {"cases": 3, "passed": 3}),
        ("seeds/fixed", {}),
        # defaults, written out
        ("model/access", "weights"),
        ("model/dtype", "float32"),
        ("model/quantization", "none"),
        ("data/0/role", "tuned"),
        ("data/0/template", "chat"),
        ("hyperparameters/objective", "sft"),
        ("hyperparameters/optimizer", "adamw_torch"),
        ("hyperparameters/max_grad_norm", 1),
        ("hyperparameters/sharding", "none"),
        ("hyperparameters/batch_size/devices", 1),
        ("hyperparameters/lora/rslora", False),
        ("decoding/0/stop", []),
        ("decoding/0/repetition_penalty", 1.0),
        ("prompting", {}),
        ("prompting", {"few_shot": 0, "turns": 1, "language": "en", "attack": "none"}),
        ("judge/0/votes", 1),
        ("judge/0/sees", "prompt_and_response"),
    ],
)
def test_what_cannot_change_an_outcome_changes_no_seed(pointer: str, value: Any) -> None:
    assert protocol_digest(changed(pointer, value)) == protocol_digest(card())


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("hyperparameters/learning_rate", 0.02),
        ("hyperparameters/lora/r", 8),
        ("hyperparameters/epochs", 3),
        ("data/0/sha256", "0" * 64),
        ("decoding/1/temperature", 0.8),
        ("tasks/0/limit", 9),
        ("seeds/controls", ["data_order"]),
        ("model/dtype", "float64"),
        ("model/chat_template", {"source": "tokenizer", "date": "2026-11-27"}),
        ("model/chat_template", {"source": "tokenizer", "arguments": {"enable_thinking": False}}),
        ("seeds/fixed", {"dropout": 1}),
        ("hyperparameters/lora/rslora", True),
        ("hyperparameters/method", "dora"),
        ("hyperparameters/objective", {"kind": "dpo", "beta": 0.1}),
        ("hyperparameters/optimizer_args", {"momentum": 0.9}),
        ("hyperparameters/sharding", "fsdp"),
        ("hyperparameters/warmup_steps", {"not_reported": "lost"}),
        ("data/0/subset", {"rule": "a random sample", "seed": 3}),
        ("data/0/weight", 0.5),
        ("decoding/0/stop", ["<|user|>"]),
        ("prompting", {"prefill": "Sure"}),
        ("model/base", {"id": "model", "revision": "sha256:" + "0" * 64}),
    ],
)
def test_what_can_change_an_outcome_changes_every_seed(pointer: str, value: Any) -> None:
    before, after = derive_seeds(card(), 5), derive_seeds(changed(pointer, value), 5)
    assert not set(before) & set(after)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [("judge/0/revision", "2"), ("judge/0/votes", 3), ("judge/0/sees", "response")],
)
def test_another_judge_changes_the_protocol_and_no_seed(pointer: str, value: Any) -> None:
    other = changed(pointer, value)
    assert protocol_digest(other) != protocol_digest(card())
    assert derive_seeds(other, 5) == derive_seeds(card(), 5)


def test_more_seeds_leave_the_first_ones_alone() -> None:
    assert derive_seeds(card(), 10)[:5] == derive_seeds(card(), 5)


def test_nonce_and_series_change_the_seeds_but_not_the_digest() -> None:
    seeds = plan_data()["seeds"]
    others = [card(seeds={**seeds, "nonce": "round 7"}), card(seeds={**seeds, "series": "rerun"})]
    for other in others:
        assert protocol_digest(other) == protocol_digest(card())
        assert generation_seed(other) != generation_seed(card())
        assert not set(derive_seeds(other, 5)) & set(derive_seeds(card(), 5))


def test_the_order_of_lists_does_not_count() -> None:
    turned = list(reversed(plan_data()["decoding"]))
    assert protocol_digest(card(decoding=turned)) == protocol_digest(card())


def test_an_earlier_stage_counts_like_the_last_one() -> None:
    recipe = plan_data()["hyperparameters"]

    def staged(**changes: Any) -> str:
        stage = {**recipe, "data": ["benign"], **changes}
        return protocol_digest(card(hyperparameters={**recipe, "earlier_stages": [stage]}))

    assert staged() != protocol_digest(card())
    assert staged(learning_rate=0.5) != staged()
    assert staged(checkpoints=[2], optimizer="adamw_torch") == staged()


def test_days_of_requests_are_filled_in_without_drawing_other_seeds() -> None:
    alias = {"unpinnable": "the provider updates the model under one name"}
    judge = {**plan_data()["judge"][0], "revision": alias}
    plan = protocol_digest(card(judge=[judge]))
    days = {"first_request": "2026-01-15", "last_request": "2026-01-16"}
    assert protocol_digest(card(judge=[{**judge, "revision": {**alias, **days}}])) == plan
    other = {"unpinnable": "the same in other words"}
    assert protocol_digest(card(judge=[{**judge, "revision": other}])) == plan
    absent = {"not_reported": "the provider does not say"}
    assert protocol_digest(card(judge=[{**judge, "revision": absent}])) != plan


def test_where_a_rendering_template_lies_is_not_causal() -> None:
    def rendered(path: str, digest: str) -> str:
        template = {"path": path, "sha256": digest * 64}
        return protocol_digest(changed("data/0/template", template))

    assert rendered("a.txt", "a") == rendered("elsewhere/b.txt", "a")
    assert rendered("a.txt", "a") != rendered("a.txt", "b")


PLACE = {"task": "safebench_harm", "construct": "harm", "condition": "tuned", "checkpoint": 2}
JUDGE = {"kind": "rule", "id": "safebench/refusal-rule", "revision": "1", "primary": True}
GREEDY = {"name": "d", "do_sample": False, "max_new_tokens": 48}


def measured(**changes: Any) -> str:
    place = {**PLACE, "decoding": "d", "judge": "j", **changes.pop("place", {})}
    given = {
        "decoding": [{**GREEDY, **changes.pop("decoding", {})}],
        "judge": [{"name": "j", **JUDGE, **changes.pop("judge", {})}],
        "tasks": [{"name": place["task"], "dataset_sha256": "0" * 64, **changes.pop("task", {})}],
    }
    names = {"decoding": given["decoding"][0]["name"], "judge": given["judge"][0]["name"]}
    return measurement_digest(card(**given, **changes), PrimaryEstimand(**{**place, **names}))


@pytest.mark.parametrize(
    "changes",
    [
        {"decoding": {"do_sample": True, "temperature": 0.7}},
        {"decoding": {"max_new_tokens": 64}},
        {"decoding": {"stop": ["\n"]}},
        {"judge": {"revision": "2"}},
        {"judge": {"id": "other/rule"}},
        {"judge": {"reasoning": "shown"}},
        {"task": {"dataset_sha256": "1" * 64}},
        {"prompting": {"few_shot": 5}},
        {"prompting": {"system_prompt": "Be kind."}},
        {"prompting": {"attack": {"name": "gcg", "budget": 10}}},
        {"place": {"construct": "over_refusal"}},
    ],
)
def test_whatever_measures_is_in_the_measurement_digest(changes: dict[str, Any]) -> None:
    assert measured(**changes) != measured()


@pytest.mark.parametrize(
    "changes",
    [
        {"decoding": {"name": "warm"}},
        {"decoding": {"repeats": 5}},
        {"judge": {"name": "mine"}},
        {"judge": {"constructs": ["harm", "severity"]}},
        {"task": {"limit": 4}},
        {"place": {"checkpoint": 1}},
        {"place": {"task": "my_own_name"}},
        {"hyperparameters": {**plan_data()["hyperparameters"], "learning_rate": 1e-5}},
    ],
)
def test_nothing_else_is(changes: dict[str, Any]) -> None:
    assert measured(**changes) == measured()


def test_an_ensemble_is_what_its_members_are() -> None:
    def digest(*names: str, revision: str = "1") -> str:
        rules = [{"name": n, **JUDGE, "primary": False, "revision": revision} for n in names]
        both = {"name": "both", "kind": "ensemble", "id": "x", "revision": "1", "primary": True}
        judges = [*rules, {**both, "members": list(names), "combine": "any"}]
        place = PrimaryEstimand(**PLACE, decoding="d", judge="both")
        return measurement_digest(card(decoding=[GREEDY], judge=judges), place)

    assert digest("a", "b") == digest("c", "d") != digest("a", "b", revision="2")
