"""A submission written in a neighbour's format, all of it or nothing."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from safebench.errors import RunError
from safebench.exporting import croissant, every_eval_ever, hub
from safebench.exporting.source import Export, Source, open_source
from safebench.files import folder_at_once
from safebench.rows import spreadsheet_safe

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("scores", "runs", "changes", "components", "primary", "diagnostics", "projections",
          "flips", "not_measured", "outcomes")  # fmt: skip
"""Tables of `safebench.load` that are written."""


@dataclass(frozen=True)
class Wanted:
    """What a person says of an export."""

    card_url: str | None = None
    seed: int | None = None
    checkpoint: int | None = None
    timestamp: str | None = None
    with_responses: bool = False


def _every_eval_ever(source: Source, wanted: Wanted) -> Export:
    return every_eval_ever.export(
        source, timestamp=wanted.timestamp, with_responses=wanted.with_responses
    )


def _hub(source: Source, wanted: Wanted) -> Export:
    return hub.export(
        source, card_url=wanted.card_url, seed=wanted.seed, checkpoint=wanted.checkpoint
    )


def _croissant(source: Source, wanted: Wanted) -> Export:
    return croissant.export(source, card_url=wanted.card_url)


def _csv(source: Source, wanted: Wanted) -> Export:
    return _tables(source, "csv", csv_bytes)


def _parquet(source: Source, wanted: Wanted) -> Export:
    return _tables(source, "parquet", _parquet_bytes)


FORMATS: dict[str, Callable[[Source, Wanted], Export]] = {
    "every-eval-ever": _every_eval_ever,
    "hub": _hub,
    "croissant": _croissant,
    "csv": _csv,
    "parquet": _parquet,
}


def write_export(folder: Path, format_: str, out: Path, wanted: Wanted) -> Export:
    """Write a submission in another format into a new folder; return what was written.

    Raises:
        RunError: the folder is not empty.
        CardError, EvidenceError: the submission cannot be read, or has no results.
        InteropError: the format has nothing to hold of it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out}: is not empty", fix="give --out a new folder")
    export = FORMATS[format_](open_source(folder), wanted)
    with folder_at_once(out) as made:
        for name, content in export.files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes(content)
    return export


def _tables(source: Source, suffix: str, written: Callable[[pd.DataFrame], bytes]) -> Export:
    from safebench.analysis.load import Submission

    submission = Submission(source.folder, source.card, source.outcomes)
    files = {f"{name}.{suffix}": written(getattr(submission, name)) for name in TABLES}
    return Export(files, list(_lost(suffix)))


def _lost(suffix: str) -> Iterator[str]:
    yield "the protocol: link the card"
    yield "responses: they are in responses.parquet, where the submission has it"
    if suffix == "csv":
        yield "types: an absent value is an empty cell"
        yield "text that a spreadsheet would run as a formula: it has a ' before it"


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as CSV (RFC 4180) in UTF-8; floats in the shortest digits that hold them."""
    shown = table.copy()
    for name in shown.columns:
        if shown[name].dtype == object or str(shown[name].dtype) in ("str", "string"):
            shown[name] = [_cell(value) for value in shown[name]]
    text = shown.to_csv(index=False, lineterminator="\r\n")
    return str(text).encode()


_TEXTS = frozenset({
    "task", "construct", "condition", "decoding", "judge", "method", "stability_note", "category",
    "verdict", "status", "prompt_id", "diagnostic", "effect", "of", "not_measured", "what",
    "reason", "trial",
})  # fmt: skip
_WHOLE = frozenset({
    "checkpoint", "training_seed", "generation_seed", "repeat", "prompts", "seeds", "seeds_up",
    "seeds_down", "repeats", "levels", "stability_seeds", "stability_pairs", "seeds_needed",
    "seeds_needed_lower", "seeds_needed_upper",
})  # fmt: skip


def _type(column: str, table: pd.DataFrame) -> pa.DataType:
    if column == "fixed":
        return pa.bool_()
    if column == "n":  # of a component it is in words: what was counted, and how many
        return pa.string() if "not_measured" in table.columns else pa.int64()
    if column in _WHOLE:
        return pa.int64()
    return pa.string() if column in _TEXTS else pa.float64()


def _cell(value: Any) -> Any:
    return spreadsheet_safe(value) if isinstance(value, str) else value


def _parquet_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as Parquet; a column has one type, whatever this submission has in it."""
    sink = io.BytesIO()
    schema = pa.schema([(name, _type(name, table)) for name in table.columns])
    found = pa.Table.from_pandas(table, schema, preserve_index=False)
    found = found.replace_schema_metadata(None)
    pq.write_table(found, sink, compression="zstd", write_statistics=False)
    return sink.getvalue()
