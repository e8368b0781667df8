"""One prompt of a file of samples: the rows of all its filters put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safebench.errors import InteropError, visible
from safebench.importing.facts import first_words, show
from safebench.importing.interface import At, row_error
from safebench.importing.lm_eval.rows import AS_WRITTEN, read_rows
from safebench.importing.record import plain

NO_FILTER = "none"
_OF_ROW = frozenset(
    ["doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"]
)
_MIXED = "two runs are mixed: keep the rows of one"


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
    """For each request the answers of every repeat."""
    metrics: dict[str, dict[str, Any]]
    """By filter and metric, as logged."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields that no other attribute holds; `filtered_resps` by filter."""

    @property
    def settings(self) -> dict[str, Any] | None:
        """Settings of decoding; None where given text was scored instead of generated."""
        settings = self.requests[0][1] if len(self.requests[0]) > 1 else None
        return settings if isinstance(settings, dict) else None

    @property
    def generated(self) -> bool:
        """Whether text was generated, rather than given text scored."""
        return self.settings is not None


def docs_of(
    file: Path, task: str, metrics: Iterable[str], limit: int | None
) -> tuple[list[Doc], int]:
    """Return a task's prompts by `doc_id`, and how many rows were left out for the limit.

    `metrics` are what the results name, for rows that do not say which of their fields are.

    Raises:
        InteropError: a row lacks something, occurs twice, or differs from the others of its prompt.
    """
    docs: dict[int, Doc] = {}
    seen: dict[tuple[int, str], At] = {}
    names, left = frozenset(metrics), 0
    for at, row in read_rows(file):
        doc_id = _doc_id(row, at)
        if limit is not None and doc_id >= limit:
            left += 1
            continue
        name = row.get("filter", NO_FILTER)
        if not isinstance(name, str):
            raise row_error(at, f"`filter` is {show(name)}, expected a text", AS_WRITTEN)
        before = seen.setdefault((doc_id, name), at)
        if before is not at:
            what = f"doc_id {doc_id} of {task} stands in {before.unit} {before.number} already"
            fix = "two runs may have been written into one file: keep the rows of one"
            raise row_error(at, what, fix)
        doc = _doc(row, at, doc_id, name, names)
        if doc_id in docs:
            _add_filter(docs[doc_id], doc)
        else:
            docs[doc_id] = doc
    if not docs:
        what = f"{visible(str(file))} has no sample with a doc_id below {limit}"
        raise InteropError(what, fix="give a larger limit")
    found = [docs[doc_id] for doc_id in sorted(docs)]
    _check_alike(found, {name for _, name in seen}, seen)
    return found, left


def _doc_id(row: dict[str, Any], at: At) -> int:
    doc_id = row.get("doc_id")
    if "doc_id" not in row:
        what = f"`doc_id` is missing; the line has {first_words(map(show, row), 5)}"
        raise row_error(at, what, "give lm-eval's samples_*.jsonl")
    if not isinstance(doc_id, int) or isinstance(doc_id, bool) or doc_id < 0:
        raise row_error(at, f"`doc_id` is {show(doc_id)}, expected a whole number", AS_WRITTEN)
    return doc_id


def _doc(row: dict[str, Any], at: At, doc_id: int, name: str, known: frozenset[str]) -> Doc:
    missing = [key for key in ("doc", "arguments", "resps") if key not in row]
    if missing:
        raise row_error(at, f"`{missing[0]}` is missing", "run lm_eval with --log_samples")
    doc, target = row["doc"], row.get("target")
    metrics = row.get("metrics", [key for key in row if key in known and key not in _OF_ROW])
    if not isinstance(metrics, list) or not all(isinstance(one, str) for one in metrics):
        raise row_error(at, f"`metrics` is {show(metrics)}, expected names", AS_WRITTEN)
    extra = {key: plain(row[key]) for key in row if key not in _OF_ROW and key not in metrics}
    if "filtered_resps" in row:
        extra["filtered_resps"] = {name: plain(row["filtered_resps"])}
    return Doc(
        at=at,
        doc_id=doc_id,
        doc=doc if isinstance(doc, dict) else {"doc": doc},
        target=target if isinstance(target, str) or target is None else str(target),
        requests=_requests(row["arguments"], at),
        answers=_answers(row["resps"], at),
        metrics={name: {metric: plain(row[metric]) for metric in metrics if metric in row}},
        extra=extra,
    )


def _requests(arguments: Any, at: At) -> list[list[Any]]:
    """Return the arguments of each request: `[[context, settings or continuation, ...], ...]`."""
    requests = list(arguments.values()) if isinstance(arguments, dict) else arguments
    expected = "one or more requests"
    if isinstance(requests, list) and requests:
        found = [list(one.values()) if isinstance(one, dict) else one for one in requests]
        if all(isinstance(one, list) and one for one in found):
            return found
        expected = "lists or mappings"
    raise row_error(at, f"`arguments` is {show(arguments)}, expected {expected}", AS_WRITTEN)


def _answers(resps: Any, at: At) -> list[list[Any]]:
    """Return `resps`: for each request the answers of every repeat."""
    expected = "the responses"
    if isinstance(resps, list) and resps:
        if all(isinstance(one, list) and one for one in resps):
            return resps
        expected = "a list of each request"
    raise row_error(at, f"`resps` is {show(resps)}, expected {expected}", AS_WRITTEN)


def _add_filter(first: Doc, other: Doc) -> None:
    """Add what another filter made of the same responses."""
    for name, one, two in (
        ("responses", first.answers, other.answers),
        ("arguments", first.requests, other.requests),
    ):
        if one != two:
            where = f"{first.at.unit} {first.at.number}"
            raise row_error(
                other.at, f"doc_id {other.doc_id} has other {name} than in {where}", _MIXED
            )
    first.metrics.update(other.metrics)
    for key, value in other.extra.items():
        if key == "filtered_resps":
            first.extra.setdefault(key, {}).update(value)
        elif key not in first.extra:
            first.extra[key] = value
        elif first.extra[key] != value:  # a field that each filter has its own of
            first.extra[f"{key}, {next(iter(other.metrics))}"] = value


def _check_alike(docs: list[Doc], filters: set[str], seen: dict[tuple[int, str], At]) -> None:
    """Raise InteropError where prompts differ in filters, repeats or settings of decoding."""
    first = docs[0]
    for doc in docs:
        for name in sorted(filters):
            if (doc.doc_id, name) not in seen:
                what = f"doc_id {doc.doc_id} has no row of the filter {show(name)} as others have"
                raise row_error(doc.at, what, "the file is incomplete: copy it again")
        repeats = {len(answers) for answers in doc.answers}
        if repeats != {len(first.answers[0])}:
            what = (
                f"doc_id {doc.doc_id} has {max(repeats)} responses, "
                f"doc_id {first.doc_id} has {len(first.answers[0])}"
            )
            raise row_error(doc.at, what, "two runs are mixed, or one was not finished: keep one")
        if doc.settings != first.settings:
            what = f"doc_id {doc.doc_id} was decoded with other settings than doc_id {first.doc_id}"
            raise row_error(doc.at, what, _MIXED)
