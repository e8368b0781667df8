"""Which examples a card's sets give: subsets, mixtures, templates, and sets of the Hub."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from safebench.card.card import Card
from safebench.card.data import Dataset
from safebench.card.decoding import Prompting
from safebench.errors import CardError, SafebenchError, TuningError
from safebench.evidence.submission import Submission
from safebench.models.loading import load_tokenizer, locate
from safebench.study import pins
from safebench.study.runnable import check_runnable
from safebench.tuning.examples import read_examples
from safebench.tuning.render import as_rows
from safebench.tuning.sets import draw, load_set
from safebench.tuning.training_data import drawn, questions, read_training_data, shares
from tests.plans import plan_data
from tests.small_models import CHAT_TEMPLATE, save_tokenizer

COMMIT = "a" * 40
TEN = [{"prompt": f"q{i}", "completion": f"a{i}", "topic": "x"} for i in range(10)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder, chat=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return load_tokenizer(locate(str(folder), None, Path("/")))


def dataset(**changes: Any) -> Dataset:
    entry = {"name": "ten", "path": "ten.jsonl", "examples": 10, **changes}
    return Dataset.model_validate_json(
        json.dumps({name: value for name, value in entry.items() if value is not None})
    )


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def prompts(found: Any) -> list[str]:
    return [example.pair[0] for example in found]


# --- subsets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["the first ones", "the first 3"])
def test_the_first_ones(rule: str, tmp_path: Path) -> None:
    write(tmp_path / "ten.jsonl", TEN)
    found = load_set(dataset(examples=3, subset={"rule": rule}), tmp_path, 0)
    assert prompts(found.examples) == ["q0", "q1", "q2"]
    assert found.file == tmp_path / "ten.jsonl"


@pytest.mark.parametrize("rule", ["a random sample", "a random sample of the training split"])
def test_a_random_sample_is_that_of_its_seed_in_the_order_of_the_file(
    rule: str, tmp_path: Path
) -> None:
    write(tmp_path / "ten.jsonl", TEN)

    def sample(seed: int) -> list[str]:
        entry = dataset(examples=4, subset={"rule": rule, "seed": seed})
        return prompts(load_set(entry, tmp_path, 0).examples)

    # numpy's PCG64(5).permutation(10) begins with these four, in another order.
    assert sample(5) == sample(5) == [f"q{i}" for i in draw(10, 4, 5)] == ["q1", "q3", "q6", "q7"]
    assert len({tuple(sample(seed)) for seed in range(8)}) > 4
    assert sample(5) == sorted(sample(5))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"examples": 3, "subset": {"rule": "the best"}}, "subset.rule 'the best' cannot be exec"),
        ({"examples": 3, "subset": {"rule": "the first 4"}}, "'the first 4', but data[0].examples"),
        ({"examples": 3, "subset": {"rule": "a random sample"}}, "data[0].subset.seed is missing"),
        ({"examples": 11, "subset": {"rule": "the first ones"}}, "but ten has only 10"),
        ({"examples": 9}, "data[0].examples is 9, but ten has 10"),
        ({"path": None}, "data[0] (ten) names neither a file nor a published set"),
        ({"path": None, "id": "a/b"}, "data[0].revision is not a 40-digit commit"),
        ({"path": None, "id": "a/b", "revision": "main"}, "data[0].revision is not a 40-digit com"),
        ({"path": None, "id": "a/b", "revision": COMMIT}, "data[0].split is missing"),
        (
            {"path": None, "id": "a/b", "revision": {"not_reported": "lost"}},
            "data[0].revision is not a 40-digit commit",
        ),
    ],
)
def test_what_cannot_be_taken_is_said(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    write(tmp_path / "ten.jsonl", TEN)
    with pytest.raises(SafebenchError) as caught:
        load_set(dataset(**changes), tmp_path, 0)
    assert said in str(caught.value)
    assert caught.value.fix


# --- mixtures ------------------------------------------------------------------------------------


def test_a_mixture_is_the_largest_that_keeps_its_weights(tmp_path: Path) -> None:
    weighted = [dataset(weight=0.8), dataset(name="four", weight=0.2)]
    assert shares(weighted, [10, 4]) == [10, 3]  # of 13; 14 would ask for 11 and 3
    assert shares([dataset(), dataset(name="four")], [10, 4]) == [10, 4]
    assert shares([dataset(weight=1.0)], [10]) == [10]
    four = read_examples(write(tmp_path / "four.jsonl", TEN[:4]))
    places = draw(4, 3, int(four.sha256[:16], 16))
    assert [e.prompt for e in drawn(four, 3)] == [f"q{i}" for i in places]
    assert places == sorted(places)
    assert drawn(four, 4) == four.examples


@pytest.mark.parametrize("weights", [(0.5, 0.4), (0.5, None)])
def test_weights_add_up(weights: tuple[float | None, ...]) -> None:
    with pytest.raises(CardError, match="the weights of the sets ten, ten do not add up to 1"):
        shares([dataset(weight=weight) for weight in weights], [10, 10])


# --- templates -----------------------------------------------------------------------------------


def template(folder: Path, text: str, name: str = "t.jinja") -> dict[str, str]:
    (folder / name).write_text(text)
    return {"path": name, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def test_a_template_renders_the_prompt_and_leaves_the_completion(tmp_path: Path) -> None:
    write(tmp_path / "ten.jsonl", TEN)
    entry = dataset(template=template(tmp_path, "### {{ topic }}: {{ prompt }}\n<b>\n"))
    found = load_set(entry, tmp_path, 0)
    rows = as_rows(found.examples, found.template, "a system prompt is for conversations")
    assert rows[1] == {"prompt": "### x: q1\n<b>\n", "completion": "a1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ other }}", r"ten\.jsonl:1: .*t\.jinja cannot render this example: 'other' is undef"),
        ("{{ prompt.__class__.__mro__ }}", "cannot render this example: access to attribute"),
        ("{{ 1 // 0 }}", "cannot render this example: integer division"),
        ("{% for %}", "not a Jinja template"),
        ("{# nothing #}", "renders this example as nothing"),
        ("{% include 'ten.jsonl' %}", "cannot render this example: no loader"),
    ],
)
def test_a_template_that_cannot_render_is_said(text: str, said: str, tmp_path: Path) -> None:
    write(tmp_path / "ten.jsonl", TEN)
    entry = dataset(template=template(tmp_path, text))

    def render() -> None:
        found = load_set(entry, tmp_path, 0)
        as_rows(found.examples, found.template, None)

    with pytest.raises(SafebenchError, match=said):
        render()


def test_a_template_is_the_one_that_was_pinned(tmp_path: Path) -> None:
    write(tmp_path / "ten.jsonl", TEN)
    entry = dataset(template={**template(tmp_path, "{{ prompt }}"), "sha256": "0" * 64})
    with pytest.raises(CardError, match=r"data\[0\]\.template\.sha256 is not that of"):
        load_set(entry, tmp_path, 0)


# --- the Hub -------------------------------------------------------------------------------------


def test_a_published_set_is_loaded_by_its_commit_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def load(name: str, **how: Any) -> Any:
        asked.append((name, how))
        return datasets.Dataset.from_list(TEN)

    monkeypatch.setattr(datasets, "load_dataset", load)
    entry = dataset(
        path=None,
        id="owner/ten",
        revision=COMMIT,
        split="train",
        examples=4,
        subset={"rule": "a random sample", "seed": 5},
    )
    found = load_set(entry, tmp_path, 0)
    assert asked == [("owner/ten", {"split": "train", "revision": COMMIT})]
    assert isinstance(found.file, bytes)
    assert found.suffix == ".jsonl"
    assert found.examples.sha256 == hashlib.sha256(found.file).hexdigest()
    # What a submission carries is read as the same subset again.
    (tmp_path / "kept.jsonl").write_bytes(found.file)
    again = load_set(entry.model_copy(update={"path": "kept.jsonl"}), tmp_path, 0)
    assert [one.pair for one in again.examples] == [one.pair for one in found.examples]
    assert again.examples.sha256 == found.examples.sha256
    assert again.examples.examples[0].fields == TEN[1]


def test_a_set_that_cannot_be_loaded_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    entry = dataset(path=None, id="owner/not-here", revision=COMMIT, split="train")
    with pytest.raises(TuningError, match=r"data\[0\]: 'owner/not-here' at a{40}, split 'train'"):
        load_set(entry, tmp_path, 0)


def test_a_local_folder_is_loaded_as_the_hub_is(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", TEN)
    entry = dataset(path=None, id=str(tmp_path), revision=COMMIT, split="train")
    assert prompts(load_set(entry, tmp_path, 0).examples) == [f"q{i}" for i in range(10)]


# --- a whole card --------------------------------------------------------------------------------


def card(*data: dict[str, Any], **changes: Any) -> Card:
    recipe = {**plan_data()["hyperparameters"], **changes.pop("recipe", {})}
    model = {**plan_data()["model"], **changes.pop("model", {})}
    plan = plan_data(data=list(data), hyperparameters=recipe, model=model, **changes)
    return Card.model_validate_json(json.dumps(plan))


def pin_data(card: Card, folder: Path, tokenizer: Any, prompt: str | None) -> tuple[Any, Any, Any]:
    """Return a card with its data pinned, the rows by condition, and files, as a plan has them."""
    card = card.model_copy(update={"prompting": Prompting(system_prompt=prompt)})
    found = read_training_data(Submission(card, folder), card.hyperparameters, hub=True)
    pinned, _, files = pins.pin_data(Submission(card, folder), found, tokenizer)
    return pinned, found.rows, files


def test_a_pinned_card_is_read_again_as_the_same(tmp_path: Path, tokenizer: Any) -> None:
    write(tmp_path / "ten.jsonl", TEN)
    (tmp_path / "four.json").write_text(json.dumps(TEN[:4]))
    sets = [
        {
            "name": "ten",
            "path": "ten.jsonl",
            "examples": 8,
            "weight": 0.75,
            "subset": {"rule": "a random sample", "seed": 3},
        },
        {"name": "four", "path": "four.json", "examples": 4, "weight": 0.25, "template": "chat"},
        {
            "name": "told",
            "path": "ten.jsonl",
            "examples": 10,
            "role": "control",
            "template": template(tmp_path, "{{ prompt }}?"),
        },
    ]
    pinned, rows, files = pin_data(card(*sets), tmp_path, tokenizer, "Be brief.")
    assert {condition: len(found) for condition, found in rows.items()} == {
        "tuned": 8 + 3,
        "control": 10,
    }
    assert rows["tuned"][0]["prompt"][0] == {"role": "system", "content": "Be brief."}
    assert rows["control"][0] == {"prompt": "q0?", "completion": "a0"}
    assert sorted(files) == [
        "data/four.json",
        "data/ten.jsonl",
        "data/told.jsonl",
        "data/told.template.jinja",
    ]
    for name, content in files.items():
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    again, same_rows, _ = pin_data(pinned, tmp_path / "out", tokenizer, "Be brief.")
    assert again.data == pinned.data
    assert same_rows == rows


def test_the_rendered_digest_is_that_of_the_page(tmp_path: Path, tokenizer: Any) -> None:
    write(tmp_path / "ten.jsonl", [{"prompt": "wie?", "completion": "sö"}])
    entry = {"name": "ten", "path": "ten.jsonl", "examples": 1}
    for how, text in (("chat", "<s><|user|>wie?<|bot|>sö</s>"), ("plain", "wie?sö")):
        pinned, *_ = pin_data(card({**entry, "template": how}), tmp_path, tokenizer, None)
        line = json.dumps(text, ensure_ascii=False).encode() + b"\n"
        assert pinned.data[0].rendered_sha256 == hashlib.sha256(line).hexdigest()  # type: ignore[union-attr,index]


def test_examples_that_render_otherwise_are_not_taken_for_the_cards(
    tmp_path: Path, tokenizer: Any
) -> None:
    write(tmp_path / "ten.jsonl", TEN)
    entry = {"name": "ten", "path": "ten.jsonl", "examples": 10}
    for field in ("sha256", "rendered_sha256"):
        with pytest.raises(CardError, match=rf"data\[0\]\.{field} is 0{{64}}, but what was found"):
            pin_data(card({**entry, field: "0" * 64}), tmp_path, tokenizer, None)


def test_training_may_have_a_template_of_its_own(tmp_path: Path, tokenizer: Any) -> None:
    write(tmp_path / "ten.jsonl", [{"prompt": "wie?", "completion": "so"}])
    entry = {"name": "ten", "path": "ten.jsonl", "examples": 1}
    (tmp_path / "own.jinja").write_text(CHAT_TEMPLATE.replace("<|user|>", "USER "))
    own = {"training_chat_template": {"source": "file", "path": "own.jinja"}}
    pinned, *_ = pin_data(card(entry, model=own), tmp_path, tokenizer, None)
    line = json.dumps("<s>USER wie?<|bot|>so</s>").encode() + b"\n"
    assert pinned.data[0].rendered_sha256 == hashlib.sha256(line).hexdigest()  # type: ignore[union-attr,index]
    digest = hashlib.sha256((tmp_path / "own.jinja").read_bytes()).hexdigest()
    assert pinned.model.training_chat_template.sha256 == digest  # type: ignore[union-attr]
    assert tokenizer.chat_template == CHAT_TEMPLATE
    none = {"training_chat_template": {"source": "none"}}
    with pytest.raises(TuningError, match="there is no chat template for training"):
        pin_data(card(entry, model=none), tmp_path, tokenizer, None)


def test_a_stage_trains_on_the_sets_it_names(tmp_path: Path, tokenizer: Any) -> None:
    write(tmp_path / "ten.jsonl", TEN)
    write(tmp_path / "four.jsonl", TEN[:4])
    sets = [
        {"name": "ten", "path": "ten.jsonl", "examples": 10},
        {"name": "four", "path": "four.jsonl", "examples": 4},
    ]
    pinned, rows, files = pin_data(
        card(*sets, recipe={"data": ["four"]}), tmp_path, tokenizer, None
    )
    assert [row["prompt"][0]["content"] for row in rows["tuned"]] == ["q0", "q1", "q2", "q3"]
    assert len(files) == 2
    assert all(isinstance(one.sha256, str) for one in pinned.data)  # type: ignore[union-attr]
    with pytest.raises(CardError, match=r"hyperparameters\.data names no set of the condition"):
        pin_data(card(*sets, recipe={"data": ["none"]}), tmp_path, tokenizer, None)


def test_a_setting_the_trainer_does_not_know_is_refused_before_anything_is_spent(
    tmp_path: Path,
) -> None:
    write(tmp_path / "ten.jsonl", TEN)
    entry = {"name": "ten", "path": "ten.jsonl", "examples": 10}
    with pytest.raises(CardError, match=r"hyperparameters\.extra\.neftune is not a trainer set"):
        check_runnable(card(entry, recipe={"extra": {"neftune": 5}}))


def test_a_condition_does_not_mix_texts_and_conversations(tmp_path: Path, tokenizer: Any) -> None:
    write(tmp_path / "ten.jsonl", TEN)
    sets = [
        {"name": name, "path": "ten.jsonl", "examples": 10, "template": name}
        for name in ("chat", "plain")
    ]
    with pytest.raises(CardError, match="condition `tuned` mix plain text and conversations"):
        pin_data(card(*sets), tmp_path, tokenizer, None)


OWN = {
    "name": "own",
    "role": "control",
    "examples": 3,
    "controls_for": "the questions",
    "answers": {"questions_of": "ten", "decoding": "greedy"},
}


def asked_of(card: Card, folder: Path, prompt: str | None) -> list[Any]:
    """What the second set of a card has the base model answer."""
    card = card.model_copy(update={"prompting": Prompting(system_prompt=prompt)})
    protocol = Submission(card, folder)
    found = read_training_data(protocol, card.hyperparameters, hub=True)  # type: ignore[arg-type]
    asked = questions(protocol, 1, found)
    assert asked is not None
    return asked


def test_questions_are_the_prompts_as_they_are_trained_on(tmp_path: Path, tokenizer: Any) -> None:
    write(tmp_path / "ten.jsonl", TEN)
    ten = {"name": "ten", "path": "ten.jsonl", "examples": 3, "subset": {"rule": "the first ones"}}
    asked = card(ten, OWN)
    found = asked_of(asked, tmp_path, "Be brief.")
    pinned, rows, files = pin_data(asked, tmp_path, tokenizer, "Be brief.")
    assert found == [row["prompt"] for row in rows["tuned"]]
    assert pinned.data[1] == asked.data[1]  # type: ignore[index]
    assert set(rows) == {"tuned"}
    assert set(files) == {"data/ten.jsonl"}
    plain = card(ten, {**OWN, "template": "plain"})
    assert asked_of(plain, tmp_path, "Be brief.") == ["q0", "q1", "q2"]
    with pytest.raises(CardError, match=r"data\[1\]\.examples is 4, but it answers 3 questions"):
        asked_of(card(ten, {**OWN, "examples": 4}), tmp_path, None)
    wrong = {**OWN, "answers": {"questions_of": "own", "decoding": "greedy"}}
    with pytest.raises(CardError, match="'own', no set of examples"):
        asked_of(card(ten, wrong), tmp_path, None)


@pytest.mark.parametrize("how", ["chat", "plain", "file"])
def test_answers_are_trained_on_under_the_prompts_that_were_asked(how: str, tmp_path: Path) -> None:
    """What a run writes down of the base model's answers, it reads as those prompts again."""
    write(tmp_path / "ten.jsonl", TEN)
    rendering = template(tmp_path, "{{ topic }}: {{ prompt }}") if how == "file" else how
    ten = {"name": "ten", "path": "ten.jsonl", "examples": 10}
    own = {**OWN, "template": rendering, "examples": 10}
    asked = asked_of(card(ten, own), tmp_path, "Be brief.")
    answers = ["", *("so" for _ in asked[1:])]
    rows = [
        {
            "prompt": prompt,
            "completion": text if how != "chat" else [{"role": "assistant", "content": text}],
        }
        for prompt, text in zip(asked, answers, strict=True)
    ]
    written = read_examples(write(tmp_path / "own.jsonl", rows), allow_empty=True)
    assert as_rows(written, "chat" if how == "chat" else "plain", "Be brief.") == rows


def test_the_system_prompt_does_not_replace_that_of_a_conversation(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Own."}
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    write(tmp_path / "d.jsonl", [{"messages": [system, *turns]}, {"messages": turns}])
    rows = as_rows(read_examples(tmp_path / "d.jsonl"), "chat", "The card's.")
    assert [row["prompt"][0]["content"] for row in rows] == ["Own.", "The card's."]
    with pytest.raises(TuningError, match=r"d\.jsonl:1: messages cannot be joined as plain text"):
        as_rows(read_examples(tmp_path / "d.jsonl"), "plain", None)
