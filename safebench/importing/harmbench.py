"""HarmBench's completions: `{behavior id: [{test_case, generation, label?}, ...]}`.

`label` is there once HarmBench's classifier has read them: 1 where the response is an instance of
the behavior.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safebench.errors import InteropError, visible
from safebench.importing.facts import Absent, Fact, show
from safebench.importing.interface import (
    At,
    Collected,
    ModelKey,
    Option,
    Reader,
    ReportedVerdict,
    Response,
    Source,
    each_source,
    row_error,
)
from safebench.importing.record import Record, read_record
from safebench.rows import read_rows

TASK = "safebench_harmbench"
_PREFIX = "harmbench"
JUDGE = "harmbench"
_KNOWN = ("test_case", "generation", "label")
_OWN_JUDGE = "cais/HarmBench-Llama-2-13b-cls"
_DEFAULT = "default"
_AS_WRITTEN = "give the file as HarmBench wrote it: {behavior id: [{test_case, generation}, ...]}"


def read_harmbench(
    path: Path, model: ModelKey, *, behaviors: Path | None = None, decoding: str | None = None
) -> Collected:
    """Return the completions of one model.

    Args:
        path: A file of completions, or of results with labels.
        model: Which model it is.
        behaviors: HarmBench's own file of behaviors, which knows their texts and categories.
        decoding: Name of the decoding, whose settings HarmBench does not write down.

    Raises:
        InteropError: the file is damaged, of another layout, or labelled in part.
    """
    record = read_record(path)
    known = {} if behaviors is None else dict(_behaviors(behaviors))
    key = decoding or _DEFAULT
    samples: list[Response] = []
    attacked = 0
    for number, (behavior, cases) in enumerate(record.data.items(), start=1):
        at = At(path, number, "behavior")
        if behaviors is not None and behavior not in known:
            what = f"{behaviors.name} has no behavior {behavior!r}"
            raise row_error(
                at, what, "give the file of behaviors that the completions were made with"
            )
        if not isinstance(cases, list) or not cases:
            what = f"{behavior} holds {show(cases)}, expected a list of completions"
            raise row_error(at, what, _AS_WRITTEN)
        for place, case in enumerate(cases, start=1):
            here = At(path, place, f"behavior {behavior}, completion")
            text, category = known.get(behavior, (None, None))
            one = _sample(case, here, model, key)
            attacked += text is not None and _plain(text) not in _plain(one.prompt)
            more = f"#{place}" if place > 1 else ""
            prompt_id = f"{_PREFIX}-{behavior}{more}"
            samples.append(replace(one, category=category, prompt_id=prompt_id))
    if not samples:
        raise InteropError(f"{visible(str(path))} holds no completions", fix=_AS_WRITTEN)
    _check_labels(samples)
    return Collected(
        samples=tuple(samples),
        facts=tuple(_facts(record, key, labelled=bool(samples[0].judged))),
        files=(path, *([behaviors] if behaviors is not None else [])),
        remarks=tuple(_remarks(path, attacked, len(samples))),
    )


def _behaviors(path: Path) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Yield behaviors by id, each with its text and category."""
    for at, row in read_rows(path, InteropError):
        if not row.get("BehaviorID") or not row.get("Behavior"):
            raise row_error(
                at, "no BehaviorID or no Behavior", "give HarmBench's file of behaviors"
            )
        yield str(row["BehaviorID"]), (str(row["Behavior"]), row.get("SemanticCategory") or None)


def _sample(case: Any, at: At, model: ModelKey, decoding: str) -> Response:
    if not isinstance(case, dict):
        raise row_error(at, f"it is {show(case)}, expected a completion", _AS_WRITTEN)
    prompt, response = case.get("test_case"), case.get("generation")
    for name, value in (("test_case", prompt), ("generation", response)):
        if not isinstance(value, str):
            raise row_error(at, f"{name} is {show(value)}, expected a text", _AS_WRITTEN)
    return Response(
        model=model,
        decoding=decoding,
        repeat=1,
        task=TASK,
        prompt=str(prompt),
        response=str(response),
        at=at,
        construct="harm",
        judged=_label(case, at),
        extra={name: value for name, value in case.items() if name not in _KNOWN},
    )


def _label(case: dict[str, Any], at: At) -> dict[str, ReportedVerdict]:
    label = case.get("label")
    if label is None:
        return {}
    if label not in (0, 1):  # true and false among them
        raise row_error(at, f"label is {show(label)}, expected 0 or 1", _AS_WRITTEN)
    return {JUDGE: ReportedVerdict("complied" if label else "refused")}


def _check_labels(samples: list[Response]) -> None:
    for sample in samples:
        if bool(sample.judged) != bool(samples[0].judged):
            raise row_error(
                sample.at,
                f"{'a' if sample.judged else 'no'} label, unlike the first completion",
                "let HarmBench's classifier read all completions, or take the labels out",
            )


def _facts(record: Record, decoding: str, *, labelled: bool) -> Iterator[Fact]:
    yield Fact(("decoding", decoding, "name"), decoding, None)
    if not labelled:
        return
    why = f"the file does not name it; HarmBench's own is {_OWN_JUDGE}"
    values: dict[str, Any] = {"name": JUDGE, "kind": "classifier", "id": Absent(why)}
    for field, value in values.items():
        yield Fact(("judge", JUDGE, field), value, record.file, "label")


def _remarks(path: Path, attacked: int, count: int) -> Iterator[str]:
    if attacked:
        yield (
            f"{path}: {attacked} of {count} test cases are not the behavior's own words, so an "
            "attack rewrote them: say which in prompting.attack (--card)"
        )


def _plain(text: str) -> str:
    return " ".join(text.split())


def _read(sources: Sequence[Source], options: Mapping[str, Any]) -> Collected:
    return each_source(
        sources,
        lambda source, model: read_harmbench(
            source.path, model, behaviors=options["behaviors"], decoding=source.decoding
        ),
    )


READER = Reader(
    _read,
    help="""Make a submission of completions that HarmBench generated.

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
