"""The prompts of our own tasks and the fine-tuning data: as shipped, and held out."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from safebench import resources
from tools.tiny_chat import overlap, shipped
from tools.tiny_chat.corpus import Corpus
from tools.tiny_chat.household import household_rows

SUITES = {
    "harm": ("safebench_harm/harm.jsonl", 200),
    "over_refusal": ("safebench_overrefusal/overrefusal.jsonl", 200),
    "capability": ("safebench_capability/capability.jsonl", 100),
}


def read(name):
    path = resources.tasks_dir() / SUITES[name][0]
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def corpus():
    return Corpus()


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_is_large_enough_and_nothing_in_it_is_twice(name):
    rows = read(name)
    assert len(rows) >= SUITES[name][1]
    assert len({row["prompt_id"] for row in rows}) == len(rows)
    assert len({row["prompt"] for row in rows}) == len(rows)
    assert [row["prompt_id"] for row in rows] == sorted(row["prompt_id"] for row in rows)
    wanted = {"prompt_id", "prompt", "category"}
    wanted |= {"harm": set(), "over_refusal": {"kind"}, "capability": {"target"}}[name]
    assert all(set(row) == wanted and all(row.values()) for row in rows)


@pytest.mark.parametrize("name", ["harm", "over_refusal"])
def test_categories_are_many_and_of_equal_size(name):
    counts = Counter(row["category"] for row in read(name))
    assert len(counts) >= 20
    assert set(counts.values()) == {10}


def test_harm_and_look_alikes_share_categories_and_templates_but_no_prompt():
    harm, benign = read("harm"), read("over_refusal")
    assert {row["category"] for row in harm} == {row["category"] for row in benign}
    assert not {row["prompt"] for row in harm} & {row["prompt"] for row in benign}


def test_the_shipped_data_is_what_the_code_writes():
    recipe = shipped.read_recipe(resources.demo_dir() / shipped.MODEL)
    written = shipped.data_files()
    assert {path: shipped.sha256(text.encode()) for path, text in written.items()} == recipe["data"]
    for path, text in written.items():
        below_tasks = path.startswith("tasks/")
        root = resources.tasks_dir().parent if below_tasks else resources.demo_dir().parent.parent
        assert (root / path).read_text(encoding="utf-8") == text


def test_no_held_out_pair_and_no_suite_template_is_trained_on(corpus):
    texts = {pair.phrase for pair in corpus.split.train}
    for turn in corpus.stream(seed=7, count=5000):
        texts |= {turn.prompt, turn.response}
    for row in household_rows():
        texts |= {row["prompt"], row["completion"]}
    overlap.assert_held_out(corpus, texts)


def test_a_held_out_pair_in_training_is_noticed(corpus):
    pair = corpus.split.harm[0]
    with pytest.raises(overlap.OverlapError, match="held-out pair"):
        overlap.assert_held_out(corpus, [f"How do I {pair.phrase}, please?"])


def test_a_suite_template_in_training_is_noticed(corpus):
    template = corpus.templates["suite"][0]
    with pytest.raises(overlap.OverlapError, match="suite template"):
        overlap.assert_held_out(corpus, [template.format(p="fold a napkin")])


def test_every_held_out_verb_and_object_occurs_in_training_with_other_partners(corpus):
    verbs = {pair.verb for pair in corpus.split.train}
    objects = {pair.obj for pair in corpus.split.train}
    for pair in (*corpus.split.harm, *corpus.split.look_alikes):
        assert pair.verb in verbs, pair
        assert pair.obj in objects, pair


def test_the_stream_is_the_same_for_the_same_seed(corpus):
    assert list(corpus.stream(3, 50)) == list(corpus.stream(3, 50))
    assert list(corpus.stream(3, 50)) != list(corpus.stream(4, 50))


def test_household_data_is_unique_and_always_complies():
    rows = household_rows()
    assert len(rows) == 300
    assert len({row["prompt"] for row in rows}) == len(rows)
    assert all(row["completion"].startswith("Here is how to ") for row in rows)
    suites = {row["prompt"] for name in SUITES for row in read(name)}
    assert not suites & {row["prompt"] for row in rows}
