"""The draft as a person reads it, and as `safebench validate` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.card.card import Card
from safebench.card.document import ReadError
from safebench.card.io import parse_document
from safebench.card.mandatory import MANDATORY
from safebench.checks import check_document
from safebench.importing.draft.draft import Draft, make_draft
from safebench.importing.draft.gather import Gathered
from safebench.importing.draft.settle import settle
from safebench.importing.draft.start import METHODS, CardBasics, first_facts
from safebench.importing.draft.tree import EXAMPLES, default, meaning, owner_of
from tests.importing.made import adapter, arguments, draft, results, state
from tests.plans import plan_data

LONGEST = 160


def plan(method: Any = None) -> Draft:
    facts = first_facts(CardBasics(method=method), plan=True)
    return make_draft(Gathered(settle(facts, [])), Path(), "card.yaml", plan=True)


def everything(folder: Path) -> Draft:
    for seed in (1, 2, 3):
        run = folder / "out" / f"seed-{seed}"
        adapter(run, str(seed).encode())
        state(run)
        arguments(run, seed=seed)
    results(folder / "eval")
    return draft(folder)


def marks(data: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(data, dict) and set(data) == {"not_reported"}:
        assert data["not_reported"].startswith("to fill in")
        return [at]
    if not isinstance(data, dict | list):
        return []
    inside = data.items() if isinstance(data, dict) else enumerate(data)
    return [mark for part, value in inside for mark in marks(value, (*at, part))]


@pytest.mark.parametrize("method", [None, *METHODS])
def test_a_plan_of_every_method_is_valid_and_lists_its_marks(method: Any) -> None:
    made = plan(method)
    assert made.report.findings == ()
    assert made.report.level == "incomplete"
    lost = {state.lost_at for state in made.report.fields if state.lost_at is not None}
    marked = set(marks(yaml.safe_load(made.text)))
    assert lost <= marked
    # Beside what is mandatory: who submits it, under which title, as the draft itself says.
    assert marked - lost == {("submission", "title"), ("submission", "submitter")}
    assert made.to_name == ("submission.id", "submission.submitter", "submission.title")


def test_a_plan_that_is_filled_in_is_complete() -> None:
    data = yaml.safe_load(plan().text)
    example = plan_data()
    data["submission"] = example["submission"]
    data["model"].update(example["model"])
    data["data"] = example["data"]
    data["hyperparameters"].update(example["hyperparameters"])
    for decoding in data["decoding"]:
        decoding["max_new_tokens"] = 64
    assert marks(data) == []
    text = yaml.safe_dump(data).encode()
    report = check_document(parse_document(text, "card.yaml"), Path())
    assert report.level == "declared"


def test_a_study_from_elsewhere_has_no_defaults(tmp_path: Path) -> None:
    text = everything(tmp_path).text
    assert "# default" not in text
    data = yaml.safe_load(text)
    assert data["hyperparameters"]["sharding"]["not_reported"].startswith("to fill in")
    assert data["prompting"]["attack"]["not_reported"].startswith("to fill in")


def test_what_is_missing_is_what_is_marked(tmp_path: Path) -> None:
    made = everything(tmp_path)
    assert made.report.errors == 0
    assert made.report.level == "incomplete"
    lost = {state.lost_at for state in made.report.fields if state.lost_at is not None}
    assert lost and lost <= set(marks(yaml.safe_load(made.text)))
    listed = "\n".join(made.report.missing_for_next)
    assert "report judge (not reported: to fill in: Who decides what a response is)" in listed
    assert "lora" not in listed and "learning_rate" not in listed
    assert made.report.completeness is not None
    assert made.report.completeness[0] >= 30


def test_every_value_has_a_comment_on_where_it_came_from(tmp_path: Path) -> None:
    lines = everything(tmp_path).text.splitlines()
    for begin, comment in {
        "    r: 8": "adapter_config.json: r (3 files)",
        "  learning_rate: 0.0003": "training_args.json: learning_rate (3 files)",
        "  dtype: bfloat16": "results_*.json: config.model_dtype",
        "  epochs: 2": "training_args.json: num_train_epochs (3 files)",
        "    - training_seed: 3": "training_args.json: seed",
    }.items():
        (line,) = (line for line in lines if line.startswith(begin))
        assert line.endswith(f"# {comment}")


def test_the_draft_is_readable(tmp_path: Path) -> None:
    text = everything(tmp_path).text
    assert all(len(line) <= LONGEST or "not_reported" in line for line in text.splitlines())
    assert not any(line != line.rstrip() for line in text.splitlines())
    assert "  # system_prompt: none (results_*.json: system_instruction)" in text.splitlines()
    assert str(tmp_path) not in text


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    assert everything(tmp_path).text == everything(tmp_path).text


def test_sections_stand_in_the_order_of_the_standard(tmp_path: Path) -> None:
    data = yaml.safe_load(everything(tmp_path).text)
    fields = [name for name in Card.model_fields if name in data]
    assert list(data) == fields
    assert list(data["decoding"][0])[:2] == ["name", "do_sample"]
    assert next(iter(data["hyperparameters"])) == "method"


@pytest.mark.parametrize("section", EXAMPLES)
def test_examples_are_what_the_card_takes(section: str) -> None:
    example = EXAMPLES[section].removesuffix(", if it was not")
    data = {**plan_data(), section: yaml.safe_load(example)}
    if section == "hyperparameters":
        data.update(data=[], seeds={"scheme": "derived", "training": 1, "controls": []})
    text = yaml.safe_dump(data).encode()
    report = check_document(parse_document(text, "card.yaml"), None)
    assert report.errors == 0, report.findings


def test_an_untuned_model(tmp_path: Path) -> None:
    results(tmp_path)
    made = draft(tmp_path, basics=CardBasics(method="none"))
    assert made.report.errors == 0
    assert yaml.safe_load(made.text)["submission"]["object"] == "artefact"
    assert "hyperparameters" not in " ".join(made.report.missing_for_next)


def test_what_was_said_is_in_the_draft(tmp_path: Path) -> None:
    adapter(tmp_path)
    made = draft(
        tmp_path,
        basics=CardBasics(id="mine", title="A: title", submitter="A. Lab", contact="a@lab.org"),
    )
    assert yaml.safe_load(made.text)["submission"] == {
        "id": "mine",
        "title": "A: title",
        "submitter": {"name": "A. Lab", "contact": "a@lab.org"},
        "relationship": "first_party",
    }
    assert made.to_name == ()


def test_a_name_that_no_card_can_have_is_refused(tmp_path: Path) -> None:
    adapter(tmp_path)
    with pytest.raises(Exception, match=r"--id cannot be submission\.id") as raised:
        draft(tmp_path, basics=CardBasics(id="Not A Name"))
    assert not isinstance(raised.value, ReadError)


def test_hints_are_the_standards_own_words() -> None:
    assert meaning(("hyperparameters", "lora", "r")) == "Rank"
    assert meaning(("decoding", 0, "max_new_tokens")) == "Longest response, in tokens"
    assert meaning(("environment", "libraries", "torch")) == ""
    assert default(("hyperparameters", "optimizer")) == "adamw_torch"
    assert default(("decoding", 3, "stop")) == []
    assert default(("hyperparameters", "learning_rate")) is None


def test_every_mandatory_field_has_a_hint() -> None:
    for entry in MANDATORY:
        parts = [p.removesuffix("[]") for p in entry.path.split(".")]
        if owner_of(tuple(parts)) is None:
            # A field of one of several alternatives that share the name above it.
            assert parts[-2] in ("objective", "revision"), entry.path
            continue
        assert meaning(tuple(parts)), entry.path
