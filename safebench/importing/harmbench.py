"""HarmBench's completions: `{behavior id: [{test_case, generation, label?}, ...]}`.

`label` is there once HarmBench's classifier has read them: 1 where the response is an instance of
the behavior.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from safebench.errors import InteropError
from safebench.importing.facts import Absent, Fact, file_error, show, single_spaced
from safebench.importing.fields import Field, Fields
from safebench.importing.interface import (
    At,
    Collected,
    ModelKey,
    Option,
    Reader,
    ReportedVerdict,
    Response,
    each_source,
    row_error,
)
from safebench.importing.record import Record, read_record
from safebench.rows import read_rows

TASK = "safebench_harmbench"
JUDGE = "harmbench"
_DEFAULT = "default"
FIELDS: Fields = {
    "test_case": Field("evidence", "prompt"),
    "generation": Field("evidence", "response"),
    "label": Field("evidence", "verdict: 1 is complied, 0 refused"),
}
"""Fields of a completion."""
_AS_WRITTEN = "give the file as HarmBench wrote it: {behavior id: [{test_case, generation}, ...]}"


def read_harmbench(
    path: Path,
    model: ModelKey,
    *,
    behaviors: Path | None = None,
    decoding: str | None = None,
    **_: object,
) -> Collected:
    """Return the completions of one model, with or without labels.

    `behaviors` is HarmBench's own file of behaviors, with their texts and categories. HarmBench
    records no decoding, so that `decoding` only names it.

    Raises:
        InteropError: the file is damaged, or of another layout.
    """
    record = read_record(path)
    known = {} if behaviors is None else dict(_behaviors(behaviors))
    key = decoding or _DEFAULT
    samples: list[Response] = []
    rewritten = 0
    for number, (behavior, cases) in enumerate(record.data.items(), start=1):
        at = At(path, number, "behavior")
        if behaviors is not None and behavior not in known:
            fix = "give the file of behaviors that the completions were made with"
            raise row_error(at, f"{behaviors.name} has no behavior {behavior!r}", fix)
        if not isinstance(cases, list) or not cases:
            what = f"{behavior} holds {show(cases)}, expected a list of completions"
            raise row_error(at, what, _AS_WRITTEN)
        text, category = known.get(behavior, (None, None))
        for place, case in enumerate(cases, start=1):
            one = _sample(case, At(path, place, f"behavior {behavior}, completion"), model, key)
            rewritten += text is not None and single_spaced(text) not in single_spaced(one.prompt)
            more = f"#{place}" if place > 1 else ""
            prompt_id = f"harmbench-{behavior}{more}"
            samples.append(replace(one, category=category, prompt_id=prompt_id))
    if not samples:
        raise file_error(path, "holds no completions", _AS_WRITTEN)
    labelled = any(sample.judged for sample in samples)
    if labelled:  # a completion that the classifier did not read has no verdict
        unread = {JUDGE: ReportedVerdict()}
        samples = [replace(one, judged=one.judged or unread) for one in samples]
    remark = (
        f"{path}: {rewritten} of {len(samples)} test cases are not the behavior's own words, so "
        "an attack rewrote them: name it in prompting.attack (--card)"
    )
    return Collected(
        samples=tuple(samples),
        facts=tuple(_facts(record, key, labelled=labelled)),
        files=(path, *([behaviors] if behaviors is not None else [])),
        remarks=(remark,) if rewritten else (),
    )


def _behaviors(path: Path) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Yield behaviors by id, each with its text and category."""
    names = ("BehaviorID", "Behavior", "SemanticCategory")
    for at, row in read_rows(path, InteropError):
        behavior, text, category = (str(row.get(name) or "") for name in names)
        if not behavior or not text:
            fix = "give HarmBench's file of behaviors"
            raise row_error(at, "no BehaviorID or no Behavior", fix)
        yield behavior, (text, category or None)


def _sample(case: Any, at: At, model: ModelKey, decoding: str) -> Response:
    if not isinstance(case, dict):
        raise row_error(at, f"it is {show(case)}, expected a completion", _AS_WRITTEN)
    for name in ("test_case", "generation"):
        if not isinstance(case.get(name), str):
            what = f"{name} is {show(case.get(name))}, expected a text"
            raise row_error(at, what, _AS_WRITTEN)
    label = case.get("label")
    label = None if label != label else label  # NaN
    if label not in (None, 0, 1):  # true and false among them
        raise row_error(at, f"label is {show(label)}, expected 0 or 1", _AS_WRITTEN)
    verdict = ReportedVerdict("complied" if label else "refused")
    return Response(
        model=model,
        decoding=decoding,
        repeat=1,
        task=TASK,
        prompt=case["test_case"],
        response=case["generation"],
        at=at,
        construct="harm",
        judged={} if label is None else {JUDGE: verdict},
        extra={name: value for name, value in case.items() if name not in FIELDS},
    )


def _facts(record: Record, decoding: str, *, labelled: bool) -> Iterator[Fact]:
    yield Fact(("decoding", decoding, "name"), decoding, None)
    if labelled:
        why = "the file does not name it; HarmBench's own is cais/HarmBench-Llama-2-13b-cls"
        values = {"name": JUDGE, "kind": "classifier", "id": Absent(why)}
        for field, value in values.items():
            yield Fact(("judge", JUDGE, field), value, record.file, "label")


READER = Reader(
    each_source(read_harmbench),
    help="""Make a submission from completions that HarmBench generated.

    \b
    DIR  a file of completions or results: {behavior id: [{test_case, generation, label}, ...]}

    Labels become reported verdicts: 1 is `complied`, 0 is `refused`.

    \b
    safebench import harmbench --base base.json --tuned seed=1,checkpoint=2:s1.json \\
        --decoding greedy:do_sample=false,max_new_tokens=512 --out submission
    """,
    options=(
        Option(
            "--behaviors",
            "HarmBench's file of behaviors, for categories and to check ids.",
            "file",
        ),
    ),
)
