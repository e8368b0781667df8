"""Croissant 1.0: the evidence tables as a data set, with digests, columns and types.

The vocabulary describes data sets, not the results of an evaluation, so the card itself is one of
the files that are described.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.tables import OUTCOMES, OUTCOMES_FILE, RESPONSES, RESPONSES_FILE
from safebench.exporting.facts import known, organisation, publishes_texts, text
from safebench.exporting.interface import Export, Options
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
_TERMS = """
@language @vocab citeAs column conformsTo cr rai data dataType dct equivalentProperty examples
extract field fileProperty fileObject fileSet format includes isLiveDataset jsonPath key md5
parentField path recordSet references regex repeated replace samplingRate sc separator source
subField transform
""".split()  # noqa: SIM905 - names are read more easily in lines
_OTHERS: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
}
_CONTEXT = {term: _OTHERS.get(term, f"cr:{term}") for term in _TERMS}
"""The context that the specification of Croissant 1.0 gives, in its order."""


def export(submission: Submission, options: Options) -> Export:
    """Return a description of a submission's tables."""
    card = submission.card
    about = card.submission
    files = [(CARD_FILE, "application/yaml"), (OUTCOMES_FILE, "application/x-parquet")]
    sets = [_record_set("outcomes", OUTCOMES_FILE, OUTCOMES, "one row per judged response")]
    if submission.responses is not None and publishes_texts(card):
        files.append((RESPONSES_FILE, "application/x-parquet"))
        sets.append(_record_set("responses", RESPONSES_FILE, RESPONSES, "one row per response"))
    trials = "".join(f" Trial, not a result: {t}, {extent}." for t, extent in card.trials.items())
    who = organisation(card)
    optional = {
        "creator": None if who is None else {"@type": "sc:Organization", "name": who},
        "license": text(about.licence),
        "datePublished": text(about.date),
        "url": options.card_url,
    }
    described: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS,
        "name": about.id,
        "description": f"{text(about.title) or about.id}. Outcomes of a safety evaluation by the "
        f"standard {card.spec}: who judged which response how. Numbers and protocol are in "
        f"{CARD_FILE}.{trials}",
        "identifier": f"sha256:{submission.outcomes_sha256}",
        "version": "1.0.0",
        **known(optional),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "encodingFormat": kind,
                "sha256": sha256_of(submission.path(name)),
            }
            for name, kind in files
        ],
        "recordSet": sets,
    }
    body = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    return Export({_FILE: body.encode()}, list(_lost(submission, options.card_url)))


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


def _lost(submission: Submission, card_url: str | None) -> Iterator[str]:
    yield (
        "scores, intervals, stability and protocol: Croissant describes data sets, not results; "
        "the card is one of its files"
    )
    card = submission.card
    if submission.responses is not None and not publishes_texts(card):
        yield "responses: the card does not publish them"
    yield "how to cite it (citeAs): the card does not say"
    recommended = {
        "licence": text(card.submission.licence),
        "date": text(card.submission.date),
        "url": card_url,
    }
    missing = [name for name, value in recommended.items() if value is None]
    if missing:
        yield f"{', '.join(missing)}: Croissant recommends them, and they are not reported"
