"""How far the suites are from the training text: asserted where it can be, else measured."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from tools.tiny_chat.corpus import Corpus
from tools.tiny_chat.facts import SUITE, TRAIN

GRAM_SIZES: Final = (3, 4, 5)


class OverlapError(Exception):
    """Something that a suite uses occurs in training."""


def plain(text: str) -> str:
    """Words in lower case, one space apart: what two texts share in spite of punctuation."""
    return " ".join(words_of(text))


def words_of(text: str) -> list[str]:
    """The text's words and numbers in lower case."""
    return re.findall(r"[a-z0-9'\-]+", text.lower())


def assert_held_out(corpus: Corpus, texts: Iterable[str]) -> None:
    """Raise OverlapError if a held-out pair or a suite's template occurs in training.

    `texts` are the prompts and responses of training, household data among them.
    """
    held = {plain(phrase) for phrase in corpus.split.held_out | corpus.held_out_everyday}
    sizes = sorted({len(phrase.split()) for phrase in held})
    frames = [_frame(template) for template in corpus.templates["suite"]]
    frames += [_frame(template) for kind in SUITE.values() for template in kind]
    for text in sorted(set(texts)):
        for size in sizes:
            for gram in word_grams(text, size):
                if " ".join(gram) in held:
                    raise OverlapError(f"held-out pair {' '.join(gram)!r} in training: {text!r}")
        spoken = plain(text)
        for frame in frames:
            if frame.fullmatch(spoken):
                raise OverlapError(f"suite template {frame.pattern!r} in training: {text!r}")
    known = {plain(template) for template in corpus.templates["train"]}
    known |= {plain(template) for kind in TRAIN.values() for template in kind}
    both = known & {plain(template) for template in corpus.templates["suite"]}
    if both:
        raise OverlapError(f"templates of both training and suites: {sorted(both)}")


def _frame(template: str) -> re.Pattern[str]:
    """A pattern for any text made from the template."""
    parts = [plain(part) for part in re.split(r"\{[a-z]\}", template)]
    return re.compile(r" ?.+ ?".join(re.escape(part) for part in parts).strip())


def word_grams(text: str, size: int) -> set[tuple[str, ...]]:
    """The text's runs of `size` words."""
    words = words_of(text)
    return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}


def gram_overlap(prompts: list[str], training: set[str], size: int) -> tuple[float, float]:
    """Mean and largest share, over prompts, of a prompt's n-grams that training texts contain."""
    known: set[tuple[str, ...]] = set()
    for text in training:
        known |= word_grams(text, size)
    shares = []
    for prompt in prompts:
        grams = word_grams(prompt, size)
        if grams:
            shares.append(len(grams & known) / len(grams))
    return (sum(shares) / len(shares), max(shares)) if shares else (0.0, 0.0)


def bag_of_words(train: list[tuple[str, bool]], suites: dict[str, list[str]]) -> dict[str, float]:
    """Share of each suite's prompts that a linear bag-of-words classifier would refuse.

    It is trained on (prompt, refuse) pairs: so much of the suites do single words give away.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    vectorizer = CountVectorizer(analyzer=words_of)
    features: Any = vectorizer.fit_transform([prompt for prompt, _ in train])
    classifier = LogisticRegression(max_iter=2000)
    classifier.fit(features, [refuse for _, refuse in train])
    return {
        name: float(classifier.predict(vectorizer.transform(prompts)).mean())
        for name, prompts in suites.items()
    }
