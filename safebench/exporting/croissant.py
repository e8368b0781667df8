"""Croissant 1.0: the evidence tables as a data set, with digests, columns and types.

The vocabulary describes data sets. It has none for results of an evaluation, their intervals or
verdicts, so that the card itself is one of the files that are described.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from safebench.evidence.submission import CARD_FILE
from safebench.evidence.tables import OUTCOMES, OUTCOMES_FILE, RESPONSES, RESPONSES_FILE
from safebench.exporting.source import Export, Source, organisation, text
from safebench.files import sha256_of

_FILE = "croissant.json"
_CONFORMS = "http://mlcommons.org/croissant/1.0"
_TYPES = {pa.string(): "sc:Text", pa.int64(): "sc:Integer", pa.float64(): "sc:Float"}
_MEANT = {
    "condition": "base, tuned or control",
    "training_seed": "training seed; absent for the base model",
    "checkpoint": "epoch or step; absent for the base model",
    "decoding": "name of a decoding of the card",
    "repeat": "which repeat, from 1",
    "generation_seed": "root of the noise that was used; absent where decoding is greedy",
    "task": "name of a task of the card",
    "construct": "what the prompt measures",
    "category": "the benchmark's own category",
    "prompt_id": "identifies the prompt within its task",
    "judge": "name of a judge of the card",
    "status": "how the response ended",
    "verdict": "refused, partial, complied or incoherent; absent for capability and severity",
    "score": "in [0, 1]",
    "prompt": "the prompt",
    "response": "the response",
    "new_tokens": "tokens of the response, where they were counted",
}
_CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs",
    "column": "cr:column", "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract",
    "field": "cr:field", "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key",
    "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex",
    "repeated": "cr:repeated", "replace": "cr:replace", "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip
"""The context that the specification of Croissant 1.0 gives."""


def export(source: Source, *, card_url: str | None = None) -> Export:
    """Return a description of a submission's tables.

    Args:
        source: The submission.
        card_url: Where the submission can be found.
    """
    card = source.card
    files = [(CARD_FILE, "application/yaml"), (OUTCOMES_FILE, "application/x-parquet")]
    sets = [_record_set("outcomes", OUTCOMES_FILE, OUTCOMES, "one row per judged response")]
    if source.responses is not None and source.publishes_texts:
        files.append((RESPONSES_FILE, "application/x-parquet"))
        sets.append(_record_set("responses", RESPONSES_FILE, RESPONSES, "one row per response"))
    title = text(card.submission.title) or card.submission.id
    described: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS,
        "name": card.submission.id,
        "description": f"{title}. Outcomes of a safety evaluation by the standard {card.spec}: "
        f"who judged which response how. Numbers and protocol are in {CARD_FILE}."
        + "".join(f" Trial, not a result: {t}, {extent}." for t, extent in card.trials.items()),
        "identifier": f"sha256:{source.digest}",
        "version": "1.0.0",
    }
    who = organisation(card)
    if who is not None:
        described["creator"] = {"@type": "sc:Organization", "name": who}
    for field, value in (
        ("license", text(card.submission.licence)),
        ("datePublished", text(card.submission.date)),
        ("url", card_url),
    ):
        if value is not None:
            described[field] = value
    described["distribution"] = [
        {
            "@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": name,
            "encodingFormat": kind, "sha256": sha256_of(source.folder / name),
        }
        for name, kind in files
    ]  # fmt: skip
    described["recordSet"] = sets
    body = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    return Export({_FILE: body.encode()}, list(_lost(source, card_url)))


def _record_set(name: str, file: str, schema: pa.Schema, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column.name}",
                "name": column.name,
                "description": _MEANT[column.name],
                "dataType": _TYPES[column.type],
                "source": {"fileObject": {"@id": file}, "extract": {"column": column.name}},
            }
            for column in schema
        ],
    }


def _lost(source: Source, card_url: str | None) -> Iterator[str]:
    yield (
        "scores, intervals, stability and protocol: Croissant describes data sets, not results; "
        "the card is one of its files"
    )
    if source.responses is not None and not source.publishes_texts:
        yield "responses: the card does not publish them"
    card = source.card
    missing = [name for name, value in (("licence", text(card.submission.licence)),
                                        ("date", text(card.submission.date)),
                                        ("url", card_url)) if value is None]  # fmt: skip
    yield "how to cite it (citeAs): the card does not say"
    if missing:
        yield f"{', '.join(missing)}: Croissant recommends them, and nothing says them"
