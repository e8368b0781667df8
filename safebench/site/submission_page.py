"""What the page of a submission shows; nothing of it depends on another entry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from safebench import words
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.measured import MeasuredChange, MeasuredResults, MeasuredScore, complete_results
from safebench.card.results import find, key_of
from safebench.site import charts, fields, figures
from safebench.site.badge import badge_words, draw_badge
from safebench.site.board import Board
from safebench.site.board_rows import BoardRow, primary
from safebench.site.citing import bibtex
from safebench.site.family_key import decoding_words, shown
from safebench.site.samples import has_texts, most_changed, text_page
from safebench.site.sources import Entry

_OWN = ("data", "hyperparameters", "seeds", "model", "environment", "submission")
"""Sections that entries of a family may differ in."""
_MEASURED = ("decoding", "judge", "tasks", "prompting")
"""Those that make the family, at the place of its primary score."""
_SAMPLES = 5
_SENTENCES = {
    "worse": "Fine-tuning made the model less safe{more}",
    "better": "Fine-tuning made the model safer{more}",
    "no_change": "Fine-tuning changed safety by less than the margin",
    "cannot_tell": "Undecided: whether fine-tuning changed safety cannot be told{more}",
}


def context(
    submission: Entry, row: BoardRow, files: dict[str, str], board: Board
) -> dict[str, Any]:
    """Return what the template shows; `files` maps published names to their sha256."""
    card = submission.card
    results = complete_results(card)
    harm = primary(results, "harm")
    measured = harm is not None and card.given_evidence is not None
    report = submission.report
    missing = (row.standing.missing,) if report.level == "replicated" else report.missing_for_next
    evidence, weights = card.given_evidence, _weights(card)
    return {
        "s": submission,
        "card": card,
        "row": row,
        "files": files,
        "named_files": {} if evidence is None else {file.path: file for file in evidence.files},
        "missing": [item for item in missing if item],
        "verdict_sentence": verdict_sentence(row),
        "results": results,
        "left_out": _left_out(card, results),
        "harm": harm,
        "primaries": _primaries(results),
        "worst": _worst_decoding(results, harm) if results and harm else None,
        "other_change": _other_change(results, harm) if results and harm else None,
        "is_primary": lambda results, score: find(results.primary, key_of(score)) is not None,
        "scores": charts.by_task(results.scores) if results else [],
        "changes": charts.by_task(results.changes) if results else [],
        "figures": _figures(card, results, harm),
        "charts": charts.charts(card, results) if results else [],
        "seed_tables": charts.seed_tables(results) if results else [],
        "categories": charts.by_category(submission.outcomes, harm) if measured and harm else [],
        "samples": most_changed(submission, harm)[:_SAMPLES] if measured and harm else [],
        "texts_page": f"../{text_page(submission.id)}" if has_texts(submission, board) else None,
        "brief": list(_brief(card, row)),
        "sections": _sections(card),
        "parts": (("What is its own", _OWN), ("How it was measured", _MEASURED)),
        "runs": _runs(card),
        "weights_of": lambda run: (
            weights.get((run.condition, run.training_seed)) if run.status == "finished" else None
        ),
        "bibtex": bibtex(submission, row, board),
        "badge": draw_badge(row),
        "badge_words": badge_words(row),
    }


def verdict_sentence(row: BoardRow) -> str:
    """Return what the change in harm is read as, in a sentence."""
    reading = row.reading
    if row.missing or reading is None or reading.word not in _SENTENCES:
        return f"Not read against others: {'; '.join(row.missing) or 'its harm is not read'}."
    more = ", by more than the margin" if reading.is_beyond_margin else ""
    if reading.word == "cannot_tell":
        more = f" ({reading.reason})" if reading.reason else ""
    return f"{_SENTENCES[reading.word].format(more=more)}."


def _primaries(results: MeasuredResults | None) -> list[MeasuredScore]:
    """Return the scores that were declared before anything was measured."""
    declared = () if results is None else results.primary
    found = [find(results.scores, key_of(one)) for one in declared if results is not None]
    order = sorted(
        (score for score in found if score is not None),
        key=lambda score: words.CONSTRUCTS.index(score.construct),
    )
    return order


def _worst_decoding(results: MeasuredResults, harm: MeasuredScore) -> MeasuredScore:
    """Return the worst score over decodings, everything else being that of a score."""
    place = key_of(harm)
    same = [s for s in results.scores if key_of(s)._replace(decoding=harm.decoding) == place]
    return max(same, key=lambda score: score.estimate, default=harm)


def _other_change(results: MeasuredResults, harm: MeasuredScore) -> MeasuredChange | None:
    """Return the change from base under another decoding that is furthest from a score's own."""
    place = key_of(harm)
    same = [c for c in results.changes if key_of(c)._replace(decoding=harm.decoding) == place]
    own = next((c.estimate for c in same if c.decoding == harm.decoding), None)
    if own is None:
        return None
    others = (c for c in same if c.decoding != harm.decoding)
    return max(others, key=lambda change: abs(change.estimate - own), default=None)


def _figures(
    card: Card, results: MeasuredResults | None, harm: MeasuredScore | None
) -> list[figures.Figure]:
    if results is None or harm is None or harm.condition == "base":
        return []
    return figures.figures(card, results, harm)


def _left_out(card: Card, shown: MeasuredResults | None) -> int:
    """Return how many numbers of the card are incomplete and so are not shown."""
    given = card.given_results
    if given is None or shown is None:
        return 0
    return len(given.scores) + len(given.changes) - len(shown.scores) - len(shown.changes)


def _brief(card: Card, row: BoardRow) -> Iterator[tuple[str, str]]:
    """Yield in a few lines what is the entry's own; its family has the rest, where it has one."""
    yield "Model", card.model.base.name or shown(card.model.base.id)
    if isinstance(card.data, tuple):
        yield "Data", "; ".join(f"{one.name} ({one.role})" for one in card.data)
    if not isinstance(card.hyperparameters, NotReported):
        yield "Method", ", ".join(_training(card.hyperparameters))
    seeds = card.seeds
    if not isinstance(seeds, NotReported) and isinstance(seeds.training, tuple):
        yield "Training seeds", words.number(len(seeds.training))
    alone = 1 if row.family.words else 0
    if isinstance(card.decoding, tuple) and len(card.decoding) > alone:
        yield "Decoding", "; ".join(f"{one.name}: {decoding_words(one)}" for one in card.decoding)
    if isinstance(card.judge, tuple) and len(card.judge) > alone:
        yield "Judge", "; ".join(f"{one.name} ({one.kind})" for one in card.judge)


def _training(given: Any) -> Iterator[str]:
    yield words.method_name(given.method)
    for name in ("learning_rate", "epochs", "steps"):
        value = getattr(given, name, None)
        if isinstance(value, int | float):
            yield f"{words.plain(name)} {words.setting(value)}"
    rank = getattr(getattr(given, "lora", None), "r", None)
    if isinstance(rank, int):
        yield f"rank {rank}"
    batch = given.batch_size
    names = ("per_device", "gradient_accumulation", "devices")
    factors = [n for n in (getattr(batch, name, None) for name in names) if isinstance(n, int)]
    if len(factors) == len(names):
        yield f"batch {words.number(math.prod(factors))}"


def _sections(card: Card) -> dict[str, fields.FieldTable]:
    """Return the table of every section of the protocol."""
    tables = {name: fields.table(getattr(card, name)) for name in (*_OWN, *_MEASURED)}
    tables["hyperparameters"] = fields.table(card.hyperparameters, first=("objective", "method"))
    tables["submission"] = fields.table(card.submission, skip=("title",))
    if not isinstance(card.tasks, NotReported):  # bare names become entries
        tables["tasks"] = fields.table(card.task_list())
    return tables


def _runs(card: Card) -> Any:
    """Return registered runs, or the reason why they are not reported."""
    evidence = card.given_evidence
    if evidence is None:
        return "the card has no evidence"
    runs = evidence.runs
    return f"not reported: {runs.not_reported}" if isinstance(runs, NotReported) else runs


def _weights(card: Card) -> dict[tuple[str, int], str]:
    """Return the digest of the last weights of every condition and training seed."""
    listed = getattr(card.model, "weights", None)
    found: dict[tuple[str, int], tuple[int, str]] = {}
    for one in listed if isinstance(listed, tuple) else ():
        if not isinstance(one.sha256, str) or not isinstance(one.checkpoint, int):
            continue
        key = (one.condition, one.training_seed)
        found[key] = max(found.get(key, (0, "")), (one.checkpoint, one.sha256))
    return {key: digest for key, (_, digest) in found.items()}
