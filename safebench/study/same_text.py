"""Whether prompts of the same id have the same text in two submissions."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from safebench.errors import EvidenceError
from safebench.evidence.rows import distinct
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


def _texts(path: Path, tasks: set[str]) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as source:
            table = pq.ParquetFile(source).read(columns=_COLUMNS)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, KeyError) as problem:
        raise EvidenceError(f"{path}: not a readable table of responses ({problem})") from problem
    found: dict[str, dict[str, str]] = {}
    for task, prompt_id, prompt in distinct(table, _COLUMNS):
        if task in tasks:
            known = found.setdefault(task, {})
            # A prompt with two texts is nothing to compare by.
            known[prompt_id] = prompt if known.get(prompt_id, prompt) == prompt else ""
    return found
