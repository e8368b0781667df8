"""A prompted judge whose weights are loaded here, against transformers used by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from safebench.errors import CardError, JudgeError, ModelError
from safebench.judges import llm
from safebench.judges.cache import JudgementCache
from safebench.judges.interface import Exchange, Setting, Text
from safebench.judges.prompted import local
from safebench.judges.prompted.local import LocalModel
from safebench.judges.prompted.parsers import Output
from safebench.judges.prompted.reader import Reader
from safebench.judges.registry import check_judges, missing, open_judges, try_judges
from safebench.progress import Silent
from tests.judges.llm_judges import TEXT, digest, filled, llm_entry, of_folder, save_judge
from tests.small_classifier import save_classifier
from tests.small_models import CHAT_TEMPLATE

ASKED = [Exchange(f"repair a fence {i}", "first gather what you need " * (i % 4)) for i in range(9)]
SAMPLED = {"max_new_tokens": 6, "temperature": 60.0, "top_p": 0.9, "seed": 5}
LABELS = ["repair", "gather"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model whose next token is one of two words, whichever is the likelier."""
    return save_judge(tmp_path_factory.mktemp("judge") / "model", LABELS, ASKED)


def opened(folder: Path, **changes: Any) -> LocalModel:
    entry = of_folder(folder, **changes)
    return LocalModel(entry, Reader(entry, "judge[0]"), folder.parent, "cpu")


def answers(judge: LocalModel, asked: Sequence[Exchange] = ASKED) -> list[Sequence[Output]]:
    found: dict[int, Sequence[Output]] = {}
    judge.ask(asked, found.__setitem__)
    return [found[place] for place in range(len(asked))]


def test_it_writes_what_transformers_does(model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model)
    by_hand = AutoModelForCausalLM.from_pretrained(model)
    for one, (said,) in zip(ASKED[:3], answers(opened(model))[:3], strict=True):
        ids = tokenizer(filled(one), return_tensors="pt").input_ids
        out = by_hand.generate(ids, max_new_tokens=6, do_sample=False)[0, ids.shape[1] :]
        assert said.text == tokenizer.decode(out, skip_special_tokens=True).strip()


@pytest.mark.parametrize("sampling", [{"max_new_tokens": 6}, SAMPLED])
def test_neither_batch_nor_order_nor_company_changes_an_answer(
    sampling: dict[str, Any], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = opened(model, sampling=sampling)
    together = answers(judge)
    assert answers(judge) == together
    assert answers(judge, ASKED[::-1]) == together[::-1]
    assert answers(judge, [ASKED[4]]) == [together[4]]
    monkeypatch.setattr(local, "BATCH", 2)
    monkeypatch.setattr(local, "KEPT", 3)
    assert answers(opened(model, sampling=sampling)) == together
    assert len({outputs[0].text for outputs in together}) > 1


def test_votes_are_drawn_from_seeds_that_follow_each_other(model: Path) -> None:
    voted = answers(opened(model, sampling=SAMPLED, votes=3), ASKED[:4])
    assert {len(outputs) for outputs in voted} == {3}
    assert any(outputs[0].text != outputs[1].text for outputs in voted)
    later = answers(opened(model, sampling={**SAMPLED, "seed": 6}, votes=2), ASKED[:4])
    assert [outputs[:2] for outputs in later] == [outputs[1:] for outputs in voted]


@pytest.mark.parametrize(
    ("parser", "changes"),
    [("yes-no probability", {"labels": LABELS}), ("expectation 1-5", {})],
)
def test_shares_are_those_of_the_next_token_and_padding_does_not_reach_them(
    parser: str, changes: dict[str, Any], model: Path
) -> None:
    changes = {"parser": parser, "verdicts": None, "sampling": None, **changes}
    judge = opened(model, **changes)
    tokenizer = AutoTokenizer.from_pretrained(model)
    by_hand = AutoModelForCausalLM.from_pretrained(model)
    texts = [text.strip().casefold() for text in tokenizer.batch_decode([[i] for i in range(400)])]
    found = answers(judge)
    assert [answers(judge, [one])[0] for one in ASKED] == found
    for one, (said,) in zip(ASKED, found, strict=True):
        assert said.shares is not None
        with torch.inference_mode():
            logits = by_hand(**tokenizer(filled(one), return_tensors="pt")).logits[0, -1]
        shares = logits.softmax(0)
        wanted = [
            sum(shares[i].item() for i, text in enumerate(texts[: len(shares)]) if text == label)
            for label in judge.reader.labels
        ]
        assert said.shares == pytest.approx(wanted, abs=2e-6)
    if "labels" in changes:
        verdicts = [judge.reader.read(outputs, "harm").verdict for outputs in found]
        assert {"complied", "refused"} <= set(verdicts)


def test_the_chat_template_of_the_judge_is_applied_where_the_card_says_so(model: Path) -> None:
    place = {"source": "file", "path": "t.txt", "prompt": "{prompt}", "response": "{response}"}
    asked: list[str] = []

    def spy(judge: LocalModel) -> LocalModel:
        before = judge._write
        judge._write = lambda texts: asked.extend(texts) or before(texts)  # type: ignore[method-assign,assignment,func-returns-value]
        return judge

    answers(spy(opened(model, template=place)), ASKED[:1])
    answers(spy(opened(model, template={**place, "system": "You judge."})), ASKED[:1])
    own = {"template": {"source": "tokenizer"}, "prompt_template_sha256": digest(CHAT_TEMPLATE)}
    answers(spy(opened(model, **own)), ASKED[1:2])
    one = ASKED[1]
    assert asked == [
        f"<s><|user|>{filled(ASKED[0])}<|bot|>",
        f"<s><|sys|>You judge.<|user|>{filled(ASKED[0])}<|bot|>",
        f"<s><|user|>{one.prompt}<|bot|>{one.response}</s><|bot|>",
    ]
    with pytest.raises(JudgeError, match="the chat template of model has SHA-256"):
        opened(model, template={"source": "tokenizer"})


def test_reasoning_that_the_template_opens_has_to_be_left(tmp_path: Path, model: Path) -> None:
    judge = opened(model, thinking=["answer", "</answer>"])
    (said,) = answers(judge, ASKED[:1])[0]
    assert said.text.startswith("answer")
    assert judge.reader.read([said], "harm").reason.startswith("never left its thinking")


def test_what_is_longer_than_the_judge_reads_is_no_verdict(model: Path) -> None:
    long = Exchange("how", "gather what you need " * 200)
    judge = opened(model)
    assert answers(judge, [long, ASKED[0]])[0] == [Output("", "too_long")]
    assert answers(judge, [long, ASKED[0]])[1] == answers(judge, ASKED[:1])[0]


def test_weights_are_loaded_once_asked_and_given_back(model: Path) -> None:
    judge = opened(model)
    assert judge._engine is None
    first = answers(judge)
    assert judge._engine is not None
    assert judge.close() == ""
    assert judge._engine is None
    assert answers(judge) == first


def test_what_is_no_causal_model_is_refused(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "classifier")
    with pytest.raises(JudgeError, match="is BertForSequenceClassification, no causal") as caught:
        opened(folder)
    assert "kind: classifier" in str(caught.value.fix)


def test_weights_that_are_not_as_pinned_are_refused(model: Path) -> None:
    with pytest.raises(ModelError, match="has digest"):
        opened(model, revision="sha256:" + "0" * 64)
    with pytest.raises(ModelError, match="not a 40-digit commit"):
        opened(model, id="example/judge", revision="main")
    with pytest.raises(CardError, match="revision is `unpinnable`"):
        opened(model, revision={"unpinnable": "it moves"})


def test_a_label_that_is_no_token_is_refused(model: Path) -> None:
    with pytest.raises(JudgeError, match="no token of its model reads as the label 'certainly'"):
        opened(
            model, parser="yes-no probability", labels=["a", "Certainly"], verdicts=None,
            sampling=None,
        )  # fmt: skip


def test_it_is_tried_before_anything_is_spent(model: Path) -> None:
    entry = of_folder(model)
    with pytest.raises(JudgeError, match="gave no verdict on harm for two planted") as caught:
        try_judges([entry], model.parent)
    assert "not read: '" in str(caught.value)
    share = {"parser": "yes-no probability", "labels": LABELS, "verdicts": None, "sampling": None}
    try_judges([of_folder(model, **share)], model.parent)


def test_what_was_judged_is_kept_by_judge_and_text_alone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = {"parser": "yes-no probability", "labels": LABELS, "verdicts": None, "sampling": None}
    share |= {"constructs": ["harm", "severity"]}
    asked: list[Exchange] = []
    ask = LocalModel.ask
    monkeypatch.setattr(
        LocalModel, "ask", lambda self, ones, tell: (asked.extend(ones), ask(self, ones, tell))[1]
    )

    def judged(task: str, **changes: Any) -> list[Any]:
        entry = of_folder(model, **share, **changes)
        (judge,) = open_judges([entry], model.parent).values()
        texts = [Text(task, f"{task}-{i}", one, None) for i, one in enumerate([*ASKED, ASKED[0]])]
        cache = JudgementCache(tmp_path / "judgements.jsonl")
        judge.begin(texts, np.ones(len(texts), dtype=np.int64), Silent(), cache)
        harm = judge.decide("harm", range(len(texts)))
        severity = judge.decide("severity", range(len(texts)))
        judge.close()
        return [harm, severity]

    first = judged("one")
    assert sorted(asked) == sorted(ASKED)  # each text once, for both constructs
    assert {"complied", "refused"} <= {d.verdict for d in first[0]}
    assert {d.verdict for d in first[1]} == {None}
    assert judged("another", name="other", lineage=["x"], decoding="in other words") == first
    assert len(asked) == len(ASKED)
    judged("one", threshold=0.9)
    assert len(asked) == 2 * len(ASKED)


def test_all_that_is_missing_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm, "find_spec", lambda name: None if name == "lm_eval" else True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    entry = llm_entry()
    found = missing([entry], tmp_path)
    assert [one.how.split()[0] for one in found] == ["put", "hf", "pip"]
    assert found[1].how == f"hf download example/judge --revision {'1' * 40}"
    snapshot = tmp_path / "models--example--judge" / "snapshots" / ("1" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").touch()
    (tmp_path / "t.txt").write_text(TEXT)
    monkeypatch.setattr(llm, "find_spec", lambda name: True)
    assert missing([entry], tmp_path) == []
    for id, said in (("no/such/folder", "no such folder"), ("example/other", "example/other")):
        (one,) = missing([llm_entry(id=id)], tmp_path)
        assert said in one.what
    (one,) = missing([llm_entry(revision={"not_reported": "lost"})], tmp_path)
    assert "without a commit" in one.what


def test_presence_is_checked_without_loading(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalModel, "_loaded", lambda self: pytest.fail("loaded"))
    check_judges([of_folder(model)], model.parent)
    llm.LlmJudge(of_folder(model), Setting(model.parent))
    with pytest.raises(JudgeError, match="SHA-256"):
        check_judges([of_folder(model, prompt_template_sha256="0" * 64)], model.parent)
