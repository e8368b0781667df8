"""The classifier judge against transformers used by hand."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from safebench.card.judge import ModelJudge
from safebench.errors import CardError, JudgeError, ModelError
from safebench.judges.classifier import BATCH, Classifier, _limit
from safebench.judges.grading import decision
from safebench.judges.interface import Exchange
from tests.small_classifier import classifier_data, save_classifier
from tests.small_models import save_llama

TEXTS = [
    Exchange(f"how do i repair a fence {i}", "gather what you need " * (i % 7)) for i in (1, 5)
]


def entry(folder: Path, **changes: Any) -> ModelJudge:
    return ModelJudge.model_validate_json(json.dumps(classifier_data(folder, **changes)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("judge") / "classifier")


def by_hand(folder: Path, first: str, second: str | None = None) -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        found: torch.Tensor = model(**tokenizer(first, second, return_tensors="pt")).logits[0]
    return found


def degree(judge: Classifier, text: Exchange) -> float:
    return judge.grade([text])[0].degree


def test_a_degree_is_the_softmax_of_the_second_of_two_labels(saved: Path) -> None:
    judge = Classifier(entry(saved), saved.parent)
    wanted = [by_hand(saved, t.prompt, t.response).softmax(0)[1].item() for t in TEXTS]
    assert [g.degree for g in judge.grade(TEXTS)] == pytest.approx(wanted, abs=2e-6)
    assert abs(wanted[0] - wanted[1]) > 0.01
    alone = Classifier(entry(saved, sees="response"), saved.parent)
    assert degree(alone, TEXTS[0]) == pytest.approx(
        by_hand(saved, TEXTS[0].response).softmax(0)[1].item(), abs=2e-6
    )


def test_the_first_of_the_labels_that_the_card_lists_is_the_harmful_one(saved: Path) -> None:
    harmful = Classifier(entry(saved, labels=["harmful", "safe"]), saved.parent)
    safe = Classifier(entry(saved, labels=["safe", "harmful"]), saved.parent)
    assert degree(harmful, TEXTS[0]) == degree(Classifier(entry(saved), saved.parent), TEXTS[0])
    assert degree(harmful, TEXTS[0]) == pytest.approx(1 - degree(safe, TEXTS[0]), abs=2e-6)


def test_labels_that_do_not_exclude_each_other_have_their_own_probability(tmp_path: Path) -> None:
    labels = ("insult", "threat", "toxic")
    folder = save_classifier(tmp_path / "m", *labels, problem_type="multi_label_classification")
    judge = Classifier(entry(folder, labels=["threat"]), tmp_path)
    logits = by_hand(folder, TEXTS[0].prompt, TEXTS[0].response)
    assert degree(judge, TEXTS[0]) == pytest.approx(logits.sigmoid()[1].item(), abs=2e-6)
    assert degree(judge, TEXTS[0]) != pytest.approx(logits.softmax(0)[1].item(), abs=1e-3)


def test_a_model_with_one_label_gives_its_probability(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "one", "toxic")
    logit = by_hand(folder, TEXTS[0].prompt, TEXTS[0].response)
    assert degree(Classifier(entry(folder), tmp_path), TEXTS[0]) == pytest.approx(
        logit.sigmoid()[0].item(), abs=2e-6
    )


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (None, "has 3 labels, and the card does not say which .*: insult, threat, toxic"),
        (["harmful"], "has no label 'harmful'; it has: insult, threat, toxic"),
        (["toxic", "fine"], "has no label 'fine'; it has"),
    ],
)
def test_a_label_that_cannot_be_told_is_refused(
    labels: list[str] | None, said: str, tmp_path: Path
) -> None:
    folder = save_classifier(tmp_path / "m", "insult", "threat", "toxic")
    changes = {} if labels is None else {"labels": labels}
    with pytest.raises(CardError, match=said) as caught:
        Classifier(entry(folder, **changes), tmp_path)
    assert caught.value.fix


def test_batches_hold_texts_of_one_length_and_every_text_once(saved: Path) -> None:
    draw = random.Random(5)
    texts = [
        Exchange(
            "why", "".join(draw.choices(string.ascii_lowercase + " ", k=draw.randrange(1, 50)))
        )
        for _ in range(3 * BATCH + 5)
    ]
    judge = Classifier(entry(saved), saved.parent)
    batches = judge.batches(texts)
    assert sorted(i for batch in batches for i in batch) == list(range(len(texts)))
    assert [len(batch) for batch in batches] == [BATCH, BATCH, BATCH, 5]
    shuffled = [texts[i] for i in draw.sample(range(len(texts)), len(texts))]
    again = judge.batches(shuffled)
    assert [[texts[i] for i in b] for b in batches] == [[shuffled[i] for i in b] for b in again]
    together = {
        i: g for b in batches for i, g in zip(b, judge.grade([texts[i] for i in b]), strict=True)
    }
    for i in range(0, len(texts), 10):  # padding changes nothing that is kept
        assert degree(judge, texts[i]) == pytest.approx(together[i].degree, abs=1.1e-6)


def test_what_is_too_long_is_cut_at_its_end(saved: Path) -> None:
    judge = Classifier(entry(saved, sees="response"), saved.parent)
    start = "gather what you need to repair a fence " * 40
    assert degree(judge, Exchange("", start + "a")) == degree(judge, Exchange("", start + "b"))
    assert degree(judge, Exchange("", "z " + start)) != degree(judge, Exchange("", start))
    pair = Classifier(entry(saved), saved.parent)
    long = "how do i repair a fence " * 40
    assert degree(pair, Exchange(long, "yes")) != degree(pair, Exchange(long, "no way"))


def test_an_empty_response_does_no_harm(saved: Path) -> None:
    judge = Classifier(entry(saved), saved.parent)
    assert judge.grade([Exchange("why", " \n"), TEXTS[0]])[0].degree == 0.0
    alone = Classifier(entry(saved, sees="response"), saved.parent)
    assert degree(alone, Exchange("why", "")) == 0.0


def test_random_state_and_training_mode_are_left_alone(saved: Path) -> None:
    before = torch.random.get_rng_state()
    judge = Classifier(entry(saved), saved.parent)
    first = judge.grade(TEXTS)
    assert judge.grade(TEXTS) == first
    assert torch.equal(before, torch.random.get_rng_state())


def test_weights_that_are_not_those_of_the_card_are_refused(saved: Path) -> None:
    with pytest.raises(ModelError, match=r"has digest sha256:[0-9a-f]{64}, but the card says"):
        Classifier(entry(saved, revision="sha256:" + "0" * 64), saved.parent)
    with pytest.raises(CardError, match="its revision is `unpinnable`"):
        Classifier(entry(saved, revision={"unpinnable": "it moves"}), saved.parent)
    with pytest.raises(ModelError, match="no such folder"):
        Classifier(entry(saved, id="./elsewhere"), saved.parent)


def test_a_model_that_was_not_trained_to_classify_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chat").mkdir()
    folder = save_llama(tmp_path / "chat")
    with pytest.raises(JudgeError, match="it was not trained to classify"):
        Classifier(entry(folder), tmp_path)


def test_weights_that_give_no_number_are_refused(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "m")
    judge = Classifier(entry(folder), tmp_path)
    with torch.no_grad():
        judge._model.classifier.bias.fill_(float("nan"))
    with pytest.raises(JudgeError, match="not a number"):
        judge.grade(TEXTS)


def test_pickled_weights_are_not_opened(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "m")
    data = classifier_data(folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    del data["revision"]
    with pytest.raises(ModelError, match="cannot be loaded"):
        Classifier(entry(folder, **data), tmp_path)


@pytest.mark.parametrize(
    ("construct", "degree", "wanted"),
    [
        ("harm", 0.5, ("complied", 1.0)),
        ("harm", 0.49, ("refused", 0.0)),
        ("over_refusal", 0.5, ("complied", 0.0)),
        ("over_refusal", 0.49, ("refused", 1.0)),
        ("severity", 0.49, (None, 0.49)),
    ],
)
def test_a_threshold_makes_verdicts(
    construct: str, degree: float, wanted: tuple[str | None, float]
) -> None:
    assert decision(construct, degree, 0.5)[:2] == wanted


def test_positions_that_are_counted_from_the_padding_on_are_not_all_taken(saved: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(saved)
    sizes: dict[str, Any] = {
        "vocab_size": 8,
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "max_position_embeddings": 66,
        "pad_token_id": 1,
    }
    with torch.random.fork_rng():
        model = RobertaForSequenceClassification(RobertaConfig(**sizes)).eval()
    limit = _limit(tokenizer, model)
    assert limit == 64
    with torch.inference_mode():
        model(torch.full((1, limit), 5))
        with pytest.raises((IndexError, RuntimeError), match="out of"):
            model(torch.full((1, limit + 1), 5))
