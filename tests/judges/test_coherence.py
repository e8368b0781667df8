"""Coherence: nothing human is flagged, corruptions mostly are."""

from __future__ import annotations

import csv
import json
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebench.judges.coherence import incoherence
from safebench.judges.text import misspelt
from tools.letters import build

MODELS = ("gpt4", "llama2orig", "mistralinstruct")


def human_sentences(shared_data):
    found = set()
    for model in MODELS:
        path = shared_data / "xstest" / f"completions_{model}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found.update(
                    part.strip()
                    for part in re.split(r"(?<=[.!?])\s+|\n+", row["completion"].strip())
                    if 8 <= len(part.split()) <= 40 and part[0].isupper()
                )
    ordered = sorted(found)
    random.Random(0).shuffle(ordered)
    return ordered[:3000]


def in_threes(sentences):
    return [" ".join(sentences[at : at + 3]) for at in range(0, len(sentences), 3)]


def shuffled(text, rng):
    words = text.split()
    rng.shuffle(words)
    return " ".join(words)


def doubled(text, rng):
    return " ".join(f"{word} {word}" if rng.random() < 0.3 else word for word in text.split())


def looped(text, rng):
    words, length = text.split(), rng.randint(1, 6)
    at = rng.randrange(len(words) - length)
    return " ".join(words[:at] + words[at : at + length] * 6)


def noisy(text, rng):
    letters = "abcdefghijklmnopqrstuvwxyz"

    def one(character):
        if rng.random() >= 0.12:
            return character
        if character == " ":
            return ""
        other = rng.choice(letters)
        return rng.choice(["", character * 2, other, character + other])

    return "".join(map(one, text))


# Measured: one sentence, three sentences (the share that is called incoherent). Floors leave .04.
@pytest.mark.parametrize(
    ("corrupt", "one", "three"),
    [(shuffled, 0.86, 0.97), (doubled, 0.98, 1.0), (looped, 0.98, 0.95), (noisy, 0.79, 0.99)],
)
def test_corruptions_are_found(shared_data, corrupt, one, three):
    rng = random.Random(1)
    sentences = human_sentences(shared_data)
    for texts, rate in ((sentences, one), (in_threes(sentences), three)):
        found = sum(incoherence(corrupt(text, rng)) is not None for text in texts)
        assert found / len(texts) >= rate - 0.04


def test_human_sentences_pass(shared_data):
    sentences = human_sentences(shared_data)
    for texts in (sentences, in_threes(sentences)):
        assert sum(incoherence(text) is not None for text in texts) <= 0.002 * len(texts)


def test_prompts_of_people_pass(shared_data):
    with (shared_data / "behaviors" / "strongreject_dataset.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        prompts = [row["forbidden_prompt"] for row in csv.DictReader(file)]
    assert sum(incoherence(prompt) is not None for prompt in prompts) <= 0.01 * len(prompts)


def test_a_real_model_that_loops(shared_data):
    (path,) = (shared_data / "interop").glob("samples_*.jsonl")
    for line in path.read_text(encoding="utf-8").splitlines():
        assert incoherence(json.loads(line)["resps"][0][0]) is not None


@pytest.mark.parametrize(
    "text",
    [
        "7.",
        "7",
        "-7",
        "3.5",
        "Paris",
        "Yes.",
        "No",
        "A",
        "b)",
        "x = 2",
        "OK!",
        "H2O",
        "to",
        "1 2 3 4",
        "0 0 0 0",
        "Ha ha ha!",
        "Bye bye.",
        "New York, New York.",
        "He had had enough.",
        "I know that that is so.",
        "The more the merrier.",
        "What is it made of?",
        "To and fro.",
        "Er ist ein Kind und das ist gut.",
        "Il est dans une rue de la ville.",
        "你好，世界。",
        "The answer is $\\lceil x \\rceil + x$.",
        "Use a can opener on the can.",
        "```\nfor (;;) { }\n```",
        "- milk\n- eggs\n- bread",
        "The Who played in The Hague.",
        "Dr. Smith lives on St. James Street.",
        "Row, row, row your boat.",
    ],
)
def test_short_and_odd_but_fine(text):
    assert incoherence(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("\u200b \n", "empty"),
        ("?!", "no-words: punctuation or symbols alone"),
        ("first first first first", "loop: 1 word(s) 4 times in a row"),
        ("The graph of y=1. The graph of y=1.", "loop: 5 word(s) 2 times in a row"),
        ("of the", "fragment: function words alone"),
        (", first the", "fragment: opens in the middle of a sentence"),
        ("aaaaaaaa", "letter-run: one letter repeated"),
        ("<unk> <unk> <unk>", "token-noise: special tokens in the text"),
        ("Mix the the flour.", "glitches: 1 in 4 words, the first is 'the the'"),
    ],
)
def test_reasons(text, reason):
    assert incoherence(text) == reason


def test_misspelt():
    assert [
        word for word in ("fence", "gaththr", "nneed", "strengths", "tthe") if misspelt(word)
    ] == [
        "gaththr",
        "nneed",
        "tthe",
    ]


def test_the_table_of_letters_is_what_its_words_give():
    assert build.table(build.shipped_words()) == build.TABLE.read_bytes()
    # A triple is in words.txt for one word at least, the commonest that has it.
    known = set()
    for word in build.WORDS.read_text().split():
        assert not build.triples(word) <= known, word
        known |= build.triples(word)


@given(st.text())
def test_any_text_is_read_the_same_twice(text):
    assert incoherence(text) == incoherence(text)
