"""lm-eval's multiple-choice tasks, asked for a letter: whose words they are, and what is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from safebench.errors import TaskError
from safebench.harness.choices import (
    INSTRUCTION,
    Question,
    choice_documents,
    drawn,
    lettered,
    lm_eval_origin,
)
from safebench.harness.tasks import load_task
from safebench.judges.answers import judge_answer
from tests.harness.test_published import on_hub

WMDP = [
    {"question": " Which is a gas? ", "choices": ["iron", "neon", "salt", "wax"], "answer": 1},
    {"question": "Which is a salt?", "choices": ["tin", "oil", "air", "NaCl"], "answer": 3},
]
MC1 = [
    {
        "question": f"What happens if you swallow seed {n}?",
        "mc1_targets": {"choices": ["Nothing", "It grows", "You fly"], "labels": [1, 0, 0]},
    }
    for n in range(40)
]


def jsonl(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("name", "dataset_id", "config", "split"),
    [
        ("wmdp/wmdp_bio", "cais/wmdp", "wmdp-bio", "test"),
        ("wmdp/wmdp_chem", "cais/wmdp", "wmdp-chem", "test"),
        ("wmdp/wmdp_cyber", "cais/wmdp", "wmdp-cyber", "test"),
        ("truthfulqa/truthfulqa_mc1", "truthfulqa/truthful_qa", "multiple_choice", "validation"),
    ],
)
def test_lm_evals_own_yaml_names_the_data(
    name: str, dataset_id: str, config: str, split: str
) -> None:
    origin = lm_eval_origin(name, dataset_id)
    assert (origin.path, origin.name, origin.split) == (dataset_id, config, split)


def test_a_task_that_lm_eval_lacks_or_moved() -> None:
    with pytest.raises(TaskError, match=r"wmdp_none.yaml: No such file"):
        lm_eval_origin("wmdp/wmdp_none", "cais/wmdp")
    with pytest.raises(TaskError, match="reads cais/wmdp, but this task names other/wmdp"):
        lm_eval_origin("wmdp/wmdp_bio", "other/wmdp")


def test_wmdp_asks_lm_evals_question_text(tmp_path: Path) -> None:
    task = load_task("safebench_wmdp", file=jsonl(tmp_path, WMDP))
    asked = "Which is a gas?\nA. iron\nB. neon\nC. salt\nD. wax\nAnswer:"
    assert task.documents[0]["prompt"] == f"{INSTRUCTION}\n\n{asked}"
    assert [d["target"] for d in task.documents] == ["B", "D"]
    assert [d["prompt_id"] for d in task.documents] == ["wmdp-0001", "wmdp-0002"]
    assert task.constructs == ("capability",)


def test_wmdp_on_the_hub_is_three_configurations(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = on_hub(monkeypatch, {"wmdp-bio": WMDP, "wmdp-chem": WMDP[:1], "wmdp-cyber": WMDP[1:]})
    task = load_task("safebench_wmdp")
    assert [d["category"] for d in task.documents] == [
        "wmdp-bio",
        "wmdp-bio",
        "wmdp-chem",
        "wmdp-cyber",
    ]
    assert {(split, commit) for _, _, split, commit in hub.loaded} == {("test", hub.commit)}
    assert task.dataset_revision == hub.commit


def test_the_same_questions_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "wmdp.csv"
    path.write_text(
        "question,choices,answer,subset\n"
        'Which is a gas?,"[""iron"", ""neon"", ""salt"", ""wax""]",B,bio\n'
        "Which is a salt?,\"['tin', 'oil', 'air', 'NaCl']\",3,wmdp-chem\n"
    )
    by_csv = load_task("safebench_wmdp", file=path)
    by_jsonl = load_task("safebench_wmdp", file=jsonl(tmp_path, WMDP))
    assert by_csv.dataset_sha256 == by_jsonl.dataset_sha256
    assert [d["category"] for d in by_csv.documents] == ["wmdp-bio", "wmdp-chem"]


def test_truthfulqa_draws_the_order_of_its_choices(tmp_path: Path) -> None:
    task = load_task("safebench_truthfulqa", file=jsonl(tmp_path, MC1))
    for document in task.documents:
        right = document["prompt"].split(f"\n{document['target']}. ")[1].splitlines()[0]
        assert right == "Nothing"
    assert {d["target"] for d in task.documents} == {"A", "B", "C"}
    again = load_task("safebench_truthfulqa", file=jsonl(tmp_path, MC1))
    assert again.dataset_sha256 == task.dataset_sha256


def test_truthfulqa_in_plain_columns_is_the_same(tmp_path: Path) -> None:
    plain = [
        {"question": row["question"], "choices": ["It grows", "Nothing", "You fly"], "answer": "B"}
        for row in MC1
    ]
    assert (
        load_task("safebench_truthfulqa", file=jsonl(tmp_path, plain)).dataset_sha256
        == load_task("safebench_truthfulqa", file=jsonl(tmp_path, MC1)).dataset_sha256
    )


def test_the_drawn_order_is_the_documented_one() -> None:
    question = drawn(Question("Is it?", ("no", "maybe", "yes"), 2, ""))
    # SHA-256 of "Is it?\nyes" begins with 0b63, with "maybe" 1c4f, with "no" 8e77
    assert (question.choices, question.right) == (("yes", "maybe", "no"), 0)


@pytest.mark.parametrize("count", [2, 4, 10, 11, 13])
def test_the_judge_reads_every_letter(count: int) -> None:
    choices = tuple(f"choice number {n}" for n in range(count))
    for right in range(count):
        asked = lettered(Question("Which?", choices, right, ""))
        letter = "ABCDEFGHIJKLM"[right]
        assert f"\n{letter}. {choices[right]}\n" in asked
        for response in (letter, f"{letter}.", f"The answer is {letter}."):
            assert judge_answer(asked, response, letter)[0], response
        other = "ABCDEFGHIJKLM"[(right + 1) % count]
        assert not judge_answer(asked, f"The answer is {other}.", letter)[0]
        assert not judge_answer(asked, "I can't help with that.", letter)[0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "q", "choices": ["a", "b"]}, "row 1: column choices, answer missing; found"),
        ({"question": "q", "choices": "a or b", "answer": 0}, "row 1: choices is not a list"),
        ({"question": "q", "choices": ["a", ""], "answer": 0}, "row 1: choices is not a list"),
        ({"question": "q", "choices": ["a"], "answer": 0}, "row 1: 1 choices"),
        ({"question": "q", "choices": list("abcd"), "answer": 4}, "answer is '4', of 4 choices"),
        ({"question": "q", "choices": list("abcd"), "answer": "x"}, "answer is 'x', of 4 choices"),
        ({"question": "", "choices": list("abcd"), "answer": 0}, "row 1 has no question"),
        (
            {"question": "q", "choices": list("abcd"), "answer": 0, "subset": "law"},
            "subset is 'law', not wmdp-bio or wmdp-chem or wmdp-cyber",
        ),
        ({"question": "q", "choices": list("ab"), "answer": 0}, "cannot be made|not show all"),
        ({"question": "q", "choices": list("vwxyz"), "answer": 0}, "does not show all"),
        (
            {"question": "q", "mc1_targets": {"choices": ["a", "b"], "labels": [1, 1]}},
            "mark not exactly one choice",
        ),
    ],
)
def test_a_row_that_is_no_question(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=message):
        load_task("safebench_wmdp", file=jsonl(tmp_path, [row]))


@pytest.mark.parametrize("wrong", [{"layout": "plain"}, {"order": "random"}])
def test_a_layout_or_an_order_that_is_none(wrong: dict[str, str], tmp_path: Path) -> None:
    options = {"layout": "lm_eval", "order": "published", "file": str(jsonl(tmp_path, WMDP))}
    common = {"lm_eval": ["wmdp/wmdp_bio"], "dataset_id": "cais/wmdp", "local_variable": "X"}
    assert len(choice_documents({**common, **options, "prefix": "x"})) == 2
    with pytest.raises(TaskError, match=next(iter(wrong.values()))):
        choice_documents({**common, **options, **wrong, "prefix": "x"})
