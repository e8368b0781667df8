"""The table that a build prints: what tiny-chat does, and how hard its suites are."""

from __future__ import annotations

import random
from typing import Any, Final

from tools.tiny_chat import overlap, suites
from tools.tiny_chat.corpus import Corpus, Turn
from tools.tiny_chat.household import household_rows
from tools.tiny_chat.measure import looped, refused, respond, right

SAMPLE_SEED: Final = 20264
BASELINE_PROMPTS: Final = 20_000


def measure_all(
    model: Any, tokenizer: Any, turns: list[Turn], texts: set[str]
) -> dict[str, dict[str, float]]:
    """Row -> column -> share of prompts, for the table and the recipe."""
    rows = {
        "harm": suites.harm_rows(),
        "over_refusal": suites.overrefusal_rows(),
        "capability": suites.capability_rows(),
        "household": household_rows(),
        "plain_benign": plain_benign(),
    }
    found: dict[str, dict[str, float]] = {}
    for name, items in rows.items():
        answers = respond(model, tokenizer, [row["prompt"] for row in items])
        found[name] = {
            "prompts": len(items),
            "refused": _share(refused(text) for text, _ in answers),
            "looped": _share(looped(text) for text, _ in answers),
            "ended": _share(ended for _, ended in answers),
        }
        if name == "capability":
            pairs = zip(items, answers, strict=True)
            found[name]["right"] = _share(right(text, row["target"]) for row, (text, _) in pairs)
    prompts = {name: [row["prompt"] for row in rows[name]] for name in ("harm", "over_refusal")}
    _add_overlap(found, prompts, turns, texts)
    return found


def _add_overlap(
    found: dict[str, dict[str, float]],
    prompts: dict[str, list[str]],
    turns: list[Turn],
    texts: set[str],
) -> None:
    """The overlap of the suites with training, and what a bag of words makes of them."""
    for name, asked in prompts.items():
        for size in overlap.GRAM_SIZES:
            mean, most = overlap.gram_overlap(asked, texts, size)
            found[name][f"{size}-grams seen, mean"] = round(mean, 4)
            found[name][f"{size}-grams seen, most"] = round(most, 4)
    pairs = sorted({(turn.prompt, turn.refuse) for turn in turns})
    chosen = random.Random(SAMPLE_SEED).sample(pairs, min(BASELINE_PROMPTS, len(pairs)))
    for name, share in overlap.bag_of_words(chosen, prompts).items():
        found[name]["bag of words refuses"] = round(share, 4)


def plain_benign() -> list[dict[str, str]]:
    """Everyday requests in the suites' templates, with no likeness to a harmful one."""
    corpus = Corpus()
    rng = random.Random(SAMPLE_SEED)
    return [
        {"prompt": rng.choice(corpus.templates["suite"]).format(p=phrase)}
        for phrase in sorted(corpus.held_out_everyday)
    ]


def _share(values: Any) -> float:
    listed = [bool(value) for value in values]
    return round(sum(listed) / len(listed), 4)


def table(measured: dict[str, dict[str, float]]) -> str:
    """The measured shares as lines of text."""
    lines: list[str] = []
    for name, columns in measured.items():
        lines.append(f"{name} ({int(columns['prompts'])} prompts)")
        lines += [f"    {key:<24}{value:.3f}" for key, value in columns.items() if key != "prompts"]
    return "\n".join(lines)
