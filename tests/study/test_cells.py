"""The grid: which blocks there are, and how parts of it are chosen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from safebench.card.card import Card
from safebench.errors import RunError
from safebench.study.cells import Block, list_blocks, pick_only, pick_shard, runs_of
from tests.plans import plan_data


def blocks_of(**changes: Any) -> list[Block]:
    changes.setdefault(
        "seeds",
        {
            "scheme": "declared",
            "training": [7, 8, 9],
            "generation": 1,
            "origin": "here",
            "controls": ["dropout"],
        },
    )
    return list(list_blocks(Card.model_validate_json(json.dumps(plan_data(**changes)))))


def test_base_and_every_seed_checkpoint_and_decoding() -> None:
    blocks = blocks_of()
    assert len(blocks) == 2 + 3 * 2 * 2
    assert blocks[0].name == "base--greedy"
    assert blocks[2].name == "tuned-seed-7-epoch-1--greedy"
    assert {b.repeats for b in blocks if b.decoding == "t07"} == {2}


def test_a_control_is_a_condition_of_its_own() -> None:
    data = [
        {"name": "benign", "path": "b.jsonl", "examples": 24},
        {"name": "own", "path": "c.jsonl", "examples": 24, "role": "control"},
    ]
    conditions = [run[0] for run in runs_of(blocks_of(data=data))]
    assert conditions == ["base", *["tuned"] * 3, *["control"] * 3]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 13, 40])
def test_shards_are_the_whole_grid_in_parts_of_one_size(count: int) -> None:
    blocks = blocks_of()
    parts = [pick_shard(f"{i}/{count}")(blocks) for i in range(1, count + 1)]
    assert [b for part in parts for b in part] == blocks
    sizes = [sum(b.repeats for b in part) for part in parts]
    largest = max(b.repeats for b in blocks)
    assert max(sizes) - min(sizes) <= 2 * largest


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(RunError, match="is not i/n"):
        pick_shard(text)


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        ([], 14),
        (["condition=base"], 2),
        (["seed=8"], 4),
        (["seed=#2"], 4),
        (["seed=#1,checkpoint=2"], 2),
        (["seed=7", "seed=9,decoding=greedy"], 4 + 2),
        (["condition=tuned, decoding=t07"], 6),
    ],
)
def test_chosen_cells(texts: list[str], count: int) -> None:
    blocks = blocks_of()
    wanted = pick_only(texts, blocks)
    assert sum(wanted(block) for block in blocks) == count


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("tuned", "'tuned' is not KEY=VALUE", "condition, seed, checkpoint, decoding"),
        ("task=x", "'task=x' is not KEY=VALUE", "keys are"),
        ("seed=5", "no cell has seed '5'", "there are: 7, 8, 9"),
        ("seed=#4", "no cell has seed '#4'", "there are: 7, 8, 9"),
        ("decoding=t1", "no cell has decoding 't1'", "there are: greedy, t07"),
    ],
)
def test_what_chooses_nothing(text: str, message: str, fix: str) -> None:
    with pytest.raises(RunError, match=message) as caught:
        pick_only([text], blocks_of())
    assert fix in str(caught.value.fix)
