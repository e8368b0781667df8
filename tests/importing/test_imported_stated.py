"""What a card, or part of one, adds to an import: taken as it is, or refused at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from safebench.card.io import load_card
from safebench.errors import SafebenchError
from safebench.importing.facts import Nothing
from safebench.importing.submission.declared import card_facts, card_seeds, keyed
from safebench.importing.submission.write import import_runs
from safebench.progress import Silent
from tests.importing.test_imported import BASE, imported, refused, request, sampled


def facts(folder: Path, data: Any) -> dict[tuple[str, ...], Any]:
    file = folder / "answers.yaml"
    file.write_text(yaml.safe_dump(data))
    return {fact.place: fact.value for fact in card_facts(file, folder / "out")}


def test_lists_are_known_by_name_and_mappings_that_are_one_value_stay_whole(tmp_path: Path) -> None:
    found = facts(
        tmp_path,
        {
            "spec": "safebench/1.0",
            "hyperparameters": {"objective": {"kind": "dpo", "beta": 0.1}, "extra": {"a": 1}},
            "judge": [{"name": "j", "kind": "human", "revision": {"unpinnable": "people"}}],
            "tasks": ["safebench_harm", {"name": "t", "primary": {"decoding": "g", "judge": "j"}}],
            "prompting": {"system_prompt": None},
            "results": {"scores": []},
            "evidence": {},
        },
    )
    assert found["hyperparameters", "objective"] == {"kind": "dpo", "beta": 0.1}
    assert found["hyperparameters", "extra"] == {"a": 1}
    assert found["judge", "j", "revision"] == {"unpinnable": "people"}
    assert found["tasks", "safebench_harm", "name"] == "safebench_harm"
    assert found["tasks", "t", "primary"] == {"decoding": "g", "judge": "j"}
    assert isinstance(found["prompting", "system_prompt"], Nothing)
    assert {place[0] for place in found} == {"hyperparameters", "judge", "tasks", "prompting"}


def test_marks_are_passed_over_and_reasons_are_kept(tmp_path: Path) -> None:
    marked = {"not_reported": "to fill in: x"}
    told = {"not_reported": "nobody knows"}
    found = facts(tmp_path, {"model": {"dtype": marked, "quantization": told}})
    assert found == {("model", "quantization"): {"not_reported": "nobody knows"}}


def test_paths_are_seen_from_the_submission(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    found = facts(
        tmp_path,
        {
            "model": {
                "base": {"id": "mine"},
                "chat_template": {"source": "file", "path": "c.jinja"},
            },
            "data": [
                {
                    "name": "d",
                    "path": "d.jsonl",
                    "template": {"path": "t.jinja", "sha256": "0" * 64},
                }
            ],
        },
    )
    assert found["model", "base", "id"] == "../mine"
    assert found["model", "chat_template", "path"] == "../c.jinja"
    assert found["data", "d", "template"] == {"path": "../t.jinja", "sha256": "0" * 64}


def test_seeds_are_those_it_lists(tmp_path: Path) -> None:
    file = tmp_path / "answers.yaml"
    for text, seeds in (
        ("seeds: {training: [3, 4]}", (3, 4)),
        ("seeds: {training: 5}", ()),
        ("model: {}", ()),
    ):
        file.write_text(text + "\n")
        assert card_seeds(file) == seeds


def test_a_draft_that_was_completed_is_read_again(tmp_path: Path) -> None:
    imported(tmp_path / "one", sampled([BASE]))
    text = (tmp_path / "one" / "card.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("id: my-card", "id: completed"))
    card = imported(tmp_path / "two", sampled([BASE]), card=tmp_path / "mine.yaml", settings={})
    assert card.submission.id == "completed"
    assert card.given_results == load_card(tmp_path / "one" / "card.yaml").given_results


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a list\n", "is not a mapping"),
        ("decoding: [{do_sample: false}]\n", "decoding[0] has no name"),
        ("judge: [5]\n", "$.judge[0]: 5 is not of type 'object'"),
        ("model: 5\n", "model is 5"),
        ("model: {base: text}\n", "model.base"),
        (
            "decoding: [{name: other, do_sample: true, temperature: 1.0}]\n",
            "decoding other has no responses",
        ),
        ("hyperparameters: {method: magic}\n", "magic"),
        ("submission: {id: 'no good id'}\n", "submission.id"),
        ("submission: {colour: red}\n", "'colour' was unexpected"),
        ("decoding: [{name: t, temperature: hot}]\n", "$.decoding[0].temperature"),
        ("model: {}\nmodel: {}\n", "the key 'model' occurs twice"),
        ("model: {dtype: [1\n", "answers.yaml"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(
    text: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text(text)
    assert message in str(refused(tmp_path / "out", sampled([BASE]), card=file))


_SECTIONS = (
    "submission",
    "model",
    "data",
    "hyperparameters",
    "seeds",
    "decoding",
    "prompting",
    "judge",
    "tasks",
    "environment",
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["greedy", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["name", "id", "base", "path", "kind", "method", "source", "revision"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)


@settings(max_examples=40, deadline=None)
@given(data=st.dictionaries(st.sampled_from(_SECTIONS), _VALUES, min_size=1, max_size=2))
def test_any_part_of_a_card_is_taken_or_refused(
    data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "answers.yaml").write_text(yaml.safe_dump(data))
    asked = request(
        folder / "out",
        sampled([BASE], tasks=("safebench_harm",), limit=2),
        limit=2,
        card=folder / "answers.yaml",
    )
    try:
        import_runs(asked, Silent())
    except SafebenchError:
        left = [path.name for path in folder.iterdir()]
        assert left == ["answers.yaml"], left
    else:
        load_card(folder / "out" / "card.yaml")


def test_nothing_said_changes_nothing() -> None:
    assert keyed([], []) == []
