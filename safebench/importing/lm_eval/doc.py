"""What lm-eval logged of each prompt: several rows of it, one for each filter, as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safebench.errors import InteropError, visible
from safebench.importing.draft.facts import first_words, show
from safebench.importing.lm_eval.lines import AS_WRITTEN, answers_of, plain, read_rows, requests_of
from safebench.importing.samples import At, wrong

NO_FILTER = "none"
_OF_ROW = frozenset({
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
})  # fmt: skip


@dataclass(frozen=True)
class Doc:
    """One prompt of a task, and what the model did with it."""

    at: At
    doc_id: int
    doc: dict[str, Any]
    target: str | None
    requests: list[list[Any]]
    """Arguments of each request: one where text is generated, else one for each choice."""
    answers: list[list[Any]]
    """Of each request the answers of every repeat."""
    metrics: dict[str, dict[str, Any]]
    """By filter and metric, as logged."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields that no other attribute holds; `filtered_resps` by filter."""

    @property
    def generated(self) -> bool:
        """Whether text was generated, rather than given text scored."""
        settings = self.requests[0][1] if len(self.requests[0]) > 1 else None
        return isinstance(settings, dict)


def docs_of(
    file: Path, task: str, metrics: Iterable[str], limit: int | None
) -> tuple[list[Doc], int]:
    """Return a task's prompts by `doc_id`, and how many rows were left out for the limit.

    `metrics` are what the results name, for rows that do not say which of their fields are.

    Raises:
        InteropError: a row lacks something, occurs twice, or differs from the others of its prompt.
    """
    found: dict[int, Doc] = {}
    seen: dict[tuple[int, str], At] = {}
    names, left = frozenset(metrics), 0
    for at, row in read_rows(file):
        doc_id = _doc_id(row, at)
        if limit is not None and doc_id >= limit:
            left += 1
            continue
        name = row.get("filter", NO_FILTER)
        if not isinstance(name, str):
            raise wrong(at, f"`filter` is {show(name)}, expected a text", AS_WRITTEN)
        before = seen.setdefault((doc_id, name), at)
        if before is not at:
            what = f"doc_id {doc_id} of {task} stands in {before.unit} {before.number} already"
            fix = "two runs may have been written into one file: keep the rows of one"
            raise wrong(at, what, fix)
        doc = _doc(row, at, doc_id, name, names)
        if doc_id in found:
            _merge(found[doc_id], doc)
        else:
            found[doc_id] = doc
    if not found:
        what = f"{visible(str(file))} has no sample with a doc_id below {limit}"
        raise InteropError(what, fix="give a larger limit")
    docs = [found[doc_id] for doc_id in sorted(found)]
    _alike(docs, {name for _, name in seen}, seen)
    return docs, left


def _doc_id(row: dict[str, Any], at: At) -> int:
    doc_id = row.get("doc_id")
    if "doc_id" not in row:
        what = f"`doc_id` is missing; the line has {first_words(map(show, row), 5)}"
        raise wrong(at, what, "give lm-eval's samples_*.jsonl")
    if not isinstance(doc_id, int) or isinstance(doc_id, bool) or doc_id < 0:
        raise wrong(at, f"`doc_id` is {show(doc_id)}, expected a whole number", AS_WRITTEN)
    return doc_id


def _doc(row: dict[str, Any], at: At, doc_id: int, name: str, known: frozenset[str]) -> Doc:
    missing = [key for key in ("doc", "arguments", "resps") if key not in row]
    if missing:
        raise wrong(at, f"`{missing[0]}` is missing", "run lm_eval with --log_samples")
    doc = row["doc"]
    target = row.get("target")
    listed = row.get("metrics", [key for key in row if key in known and key not in _OF_ROW])
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise wrong(at, f"`metrics` is {show(listed)}, expected names", AS_WRITTEN)
    fields = set(row) - _OF_ROW - set(listed)
    extra = {key: plain(row[key]) for key in row if key in fields}
    if "filtered_resps" in row:
        extra["filtered_resps"] = {name: plain(row["filtered_resps"])}
    return Doc(
        at=at,
        doc_id=doc_id,
        doc=doc if isinstance(doc, dict) else {"doc": doc},
        target=target if isinstance(target, str) or target is None else str(target),
        requests=requests_of(row, at),
        answers=answers_of(row, at),
        metrics={name: {metric: plain(row[metric]) for metric in listed if metric in row}},
        extra=extra,
    )


def _merge(first: Doc, other: Doc) -> None:
    """Add what another filter made of the same responses."""
    for what in ("answers", "requests"):
        if getattr(first, what) != getattr(other, what):
            told = {"answers": "responses", "requests": "arguments"}[what]
            message = (
                f"doc_id {other.doc_id} has other {told} than in {first.at.unit} {first.at.number}"
            )
            raise wrong(other.at, message, "two runs are mixed: keep the rows of one")
    first.metrics.update(other.metrics)
    for key, value in other.extra.items():
        if key == "filtered_resps":
            first.extra.setdefault(key, {}).update(value)
        elif key not in first.extra:
            first.extra[key] = value
        elif first.extra[key] != value:  # a field that each filter has its own of
            first.extra[f"{key}, {next(iter(other.metrics))}"] = value


def _alike(docs: list[Doc], filters: set[str], seen: dict[tuple[int, str], At]) -> None:
    """Raise InteropError where prompts differ in filters, repeats or settings of decoding."""
    first = docs[0]
    for doc in docs:
        for name in sorted(filters):
            if (doc.doc_id, name) not in seen:
                what = f"doc_id {doc.doc_id} has no row of the filter {show(name)} as others have"
                raise wrong(doc.at, what, "the file is incomplete: copy it again")
        repeats = {len(answers) for answers in doc.answers}
        if repeats != {len(first.answers[0])}:
            what = (
                f"doc_id {doc.doc_id} has {max(repeats)} responses, "
                f"doc_id {first.doc_id} has {len(first.answers[0])}"
            )
            raise wrong(doc.at, what, "two runs are mixed, or one was not finished: keep one")
        if doc.generated != first.generated or (
            doc.generated and doc.requests[0][1] != first.requests[0][1]
        ):
            what = f"doc_id {doc.doc_id} was decoded with other settings than doc_id {first.doc_id}"
            raise wrong(doc.at, what, "two runs are mixed: keep the rows of one")
