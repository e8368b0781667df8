"""CSV and Parquet: every table of `safebench.load`, one file each."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from safebench.analysis.load import TABLES, LoadedSubmission
from safebench.evidence.submission import Submission
from safebench.exporting.interface import Export, Options
from safebench.rows import spreadsheet_safe

if TYPE_CHECKING:
    import pandas as pd

_LOST = (
    "the protocol: link the card",
    "responses: they are in responses.parquet, where the submission has it",
)
_LOST_IN_CSV = (
    "types: an absent value is an empty cell",
    "text that a spreadsheet would run as a formula: a ' is put before it",
)
_WHOLE = """
checkpoint training_seed generation_seed repeat prompts seeds seeds_up seeds_down repeats levels
stability_seeds stability_pairs seeds_needed seeds_needed_lower seeds_needed_upper
""".split()  # noqa: SIM905 - names are read more easily in lines
_TEXTS = """
task construct condition decoding judge method stability_note category verdict status prompt_id
diagnostic effect of not_measured what reason trial judge_error read_as kind text remedy
""".split()  # noqa: SIM905


def export(submission: Submission, options: Options) -> Export:
    """Return the tables of a submission."""
    loaded = LoadedSubmission(submission, options.selection)
    in_csv = options.format == "csv"
    as_bytes = csv_bytes if in_csv else parquet_bytes
    files = {f"{name}.{options.format}": as_bytes(getattr(loaded, name)) for name in TABLES}
    return Export(files, [*_LOST, *(_LOST_IN_CSV if in_csv else ())])


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as CSV (RFC 4180) in UTF-8; floats in the shortest digits that hold them."""
    shown = table.copy()
    for name in shown.columns:
        if shown[name].dtype == object or str(shown[name].dtype) in ("str", "string"):
            shown[name] = [spreadsheet_safe(v) if isinstance(v, str) else v for v in shown[name]]
    return str(shown.to_csv(index=False, lineterminator="\r\n")).encode()


def parquet_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as Parquet; a column has one type, whatever this submission has in it."""
    sink = io.BytesIO()
    schema = pa.schema([(name, _type(name, table)) for name in table.columns])
    found = pa.Table.from_pandas(table, schema, preserve_index=False)
    found = found.replace_schema_metadata(None)  # it names the versions of pandas and pyarrow
    pq.write_table(found, sink, compression="zstd", write_statistics=False)
    return sink.getvalue()


def _type(column: str, table: pd.DataFrame) -> pa.DataType:
    if column in ("fixed", "is_measured", "beyond_margin"):
        return pa.bool_()
    if column == "n":  # that of a component is in words: what was counted, and how many
        return pa.string() if "not_measured" in table.columns else pa.int64()
    if column in _WHOLE:
        return pa.int64()
    return pa.string() if column in _TEXTS else pa.float64()
