"""Whether two submissions have the same texts: prompts of one id, responses of whole runs."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from safebench.card.results import PlaceKey
from safebench.errors import EvidenceError
from safebench.evidence.rows import distinct, rows_with
from safebench.evidence.tables import RESPONSES_FILE

_COLUMNS = ["task", "prompt_id", "prompt"]


def other_texts(a: Path, b: Path, tasks: set[str]) -> dict[str, tuple[str, ...]]:
    """Return, by task, the ids whose prompts differ in text; a task that cannot be told is absent.

    It cannot be told where a submission does not carry its responses, or withholds prompts.
    """
    texts = [_texts(folder / RESPONSES_FILE, tasks) for folder in (a, b)]
    return {
        task: tuple(
            prompt
            for prompt in sorted(texts[0][task].keys() & texts[1][task].keys())
            if texts[0][task][prompt] != texts[1][task][prompt]
        )
        for task in sorted(texts[0].keys() & texts[1].keys())
        if "" not in texts[0][task].values() and "" not in texts[1][task].values()
    }


def identical(original: Path, rerun: Path, key: PlaceKey) -> bool | None:
    """Tell whether every run of the rerun is, byte for byte, one of the original's.

    It cannot be told, None, where a submission does not carry its responses, or withholds them.
    """
    runs = [_runs(folder / RESPONSES_FILE, key) for folder in (original, rerun)]
    if any(not found or any(None in run.values() for run in found) for found in runs):
        return None
    return all(run in runs[0] for run in runs[1])


def _runs(path: Path, key: PlaceKey) -> list[dict[str, str | None]]:
    """Return the responses of every run at a key, by prompt."""
    place = {name: getattr(key, name) for name in ("condition", "checkpoint", "decoding", "task")}
    columns = ["training_seed", "repeat", "prompt_id", "response"]
    table = _read(path, [*place, *columns])
    found: dict[tuple[object, object], dict[str, str | None]] = {}
    if table is not None:
        rows = rows_with(table, place).select(columns)
        for seed, repeat, prompt, response in zip(*rows.to_pydict().values(), strict=True):
            found.setdefault((seed, repeat), {})[prompt] = response
    return list(found.values())


def _texts(path: Path, tasks: set[str]) -> dict[str, dict[str, str]]:
    table = _read(path, _COLUMNS)
    if table is None:
        return {}
    found: dict[str, dict[str, str]] = {}
    for task, prompt_id, prompt in distinct(table, _COLUMNS):
        if task in tasks:
            known = found.setdefault(task, {})
            # A prompt with two texts is nothing to compare by.
            known[prompt_id] = prompt if known.get(prompt_id, prompt) == prompt else ""
    return found


def _read(path: Path, columns: list[str]) -> pa.Table | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as source:
            return pq.ParquetFile(source).read(columns=columns)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, KeyError) as problem:
        raise EvidenceError(f"{path}: not a readable table of responses ({problem})") from problem
