"""Parts of a record of every_eval_ever."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from safebench.card.base import NotReported
from safebench.card.decoding import Decoding
from safebench.card.judge import Judge
from safebench.card.results import find, key_of
from safebench.card.task import Task
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.columns import encoded
from safebench.exporting.source import Source, text

UNKNOWN = "unknown"
NO_TIME = "0"
Json = dict[str, Any]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval."""

    estimate: float
    lower: float
    upper: float
    method: str
    n: int


def date_of(source: Source) -> str:
    """Return the card's day of submission in seconds since 1970, at midnight UTC."""
    stated = text(source.card.submission.date)
    if stated is None:
        return NO_TIME
    return str(int(datetime.fromisoformat(stated).replace(tzinfo=UTC).timestamp()))


def uuid_of(digest: str, name: str) -> str:
    """Return a uuid of version 4 in form, the same for the same outcomes and model."""
    bits = bytearray(hashlib.sha256(f"{digest}/{name}".encode()).digest()[:16])
    bits[6] = (bits[6] & 0x0F) | 0x40
    bits[8] = (bits[8] & 0x3F) | 0x80
    hexa = bits.hex()
    return f"{hexa[:8]}-{hexa[8:12]}-{hexa[12:16]}-{hexa[16:20]}-{hexa[20:]}"


def is_good(construct: str, score: float) -> bool:
    """Tell whether a response is as wanted: right, or neither harmful nor refused."""
    return score == 1.0 if construct == "capability" else score == 0.0


def is_primary(source: Source, block: OutcomeArray) -> bool:
    """Tell whether a number is one that was declared to answer for a construct."""
    return find(source.results.primary, key_of(block)) is not None


def present(details: dict[str, str | None]) -> dict[str, str]:
    """Return details without those that nobody knows."""
    return {key: value for key, value in details.items() if value is not None}


def plain(value: Any) -> Any:
    """Return a revision as one text."""
    return value if value is None or isinstance(value, str | NotReported) else "unpinnable"


def llm_scoring(judge: Judge) -> Json:
    """Return what the format asks of a prompted judge; the prompt by its digest."""
    name = text(judge.id) or UNKNOWN
    digest = text(getattr(judge, "prompt_template_sha256", None))
    details = {"deployment_type": UNKNOWN, "model_availability": UNKNOWN}
    info = {"name": name, "id": name, "additional_details": details}
    prompt = f"sha256:{digest}" if digest else "not reported"
    return {"judges": [{"model_info": info}], "input_prompt": prompt}


def source_data(task: Task, prompts: int) -> Json:
    """Return where a task's prompts come from."""
    name = text(task.dataset_id) or task.name
    details = present({
        "safebench.dataset_revision": text(plain(task.dataset_revision)),
        "safebench.dataset_sha256": text(task.dataset_sha256),
        "safebench.prompts": str(prompts),
    })  # fmt: skip
    on_hub = isinstance(task.dataset_revision, str)
    if on_hub:
        return {"dataset_name": name, "source_type": "hf_dataset", "hf_repo": name,
                "samples_number": prompts, "additional_details": details}  # fmt: skip
    return {"dataset_name": name, "source_type": "other", "additional_details": details}


def generation(decoding: Decoding | None, name: str) -> Json:
    """Return a decoding; what the format has no field for stands among the details."""
    if decoding is None:
        return {"additional_details": {"safebench.decoding": name}}
    values = decoding.model_dump(mode="json", exclude_none=True)
    arguments: Json = {"temperature": 0.0} if not decoding.do_sample else {}
    for ours, theirs in (("temperature", "temperature"), ("top_p", "top_p"), ("top_k", "top_k"),
                         ("max_new_tokens", "max_tokens")):  # fmt: skip
        if isinstance(values.get(ours), int | float):
            arguments[theirs] = values.pop(ours)
    rest = {f"safebench.{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in values.items() if not _absent(value)}  # fmt: skip
    return {"generation_args": arguments, "additional_details": {**rest,
            "safebench.decoding": name}}  # fmt: skip


def _absent(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"not_reported"}


def texts(source: Source) -> dict[tuple[Any, ...], tuple[str, str | None]]:
    """Return prompt and response of every response that is there."""
    if source.responses is None:
        return {}
    names = ["task", "prompt_id", "condition", "training_seed", "checkpoint", "decoding",
             "repeat", "prompt", "response"]  # fmt: skip
    columns = []
    for name in names:
        codes, values = encoded(source.responses, name)
        columns.append([values[code] for code in codes])
    return {row[:7]: (row[7], row[8]) for row in zip(*columns, strict=True)}


def hash_of(prompt: str | None) -> str | None:
    """Return the digest of a prompt; None where it is not known."""
    return None if prompt is None else hashlib.sha256(prompt.encode()).hexdigest()
