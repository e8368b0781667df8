"""Scorers of Inspect as judges: what a log tells of how each of them decides.

A scorer's options are only those that were given: a grader that is not named is a model that the
log binds to a role or, without one, the evaluated model itself. So what names no model is a rule
only where Inspect itself has such a scorer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from safebench.importing.facts import Absent, Fact, short_id
from safebench.importing.record import Record

RULES = frozenset(["match", "includes", "pattern", "answer", "choice", "exact", "f1", "math"])
"""Scorers of Inspect that compare texts."""
_GRADED = re.compile(r"_?model_graded_\w+\Z")
_NAMES_MODEL = re.compile(r"(?:\A|_)(?:models?|graders?|judges?|llm|classifier)\Z")
_MODEL = re.compile(r"[\w.-]+/\S+\Z")
_UNTOLD = "the log does not say how it decides"


@dataclass(frozen=True)
class _Listed:
    """A scorer in a header."""

    options: Mapping[str, Any]
    file_key: str


@dataclass(frozen=True)
class _Graders:
    """The models that a scorer asks."""

    names: tuple[str, ...]
    where: str
    note: str = ""


def judge_name(scorer: str) -> str:
    """Return the name under which a card lists a scorer, without the package it comes from."""
    return short_id(scorer.rpartition("/")[2], "scorer")


def first_scorer(log: Record) -> str:
    """Return the name of a log's first scorer, which a score without a name is of."""
    return next(iter(_listed(log)), "scorer")


def scorers_without_scores(log: Record, scorers: Mapping[str, str]) -> list[str]:
    """Return the scorers of a header that no sample has a score of; `scorers` are those it has."""
    scored = {judge_name(scorer) for scorer in scorers.values()}
    return [name for name in _listed(log) if name not in scored]


def judge_facts(log: Record, scorers: Mapping[str, str], *, grading: bool) -> Iterator[Fact]:
    """Yield the entries of the judges whose verdicts the samples have.

    `scorers` are by judge; `grading`: scores hold the conversation with a grader.
    """
    version = str(log.at("eval", "packages").text("inspect_ai") or "unversioned")
    listed = _listed(log)
    # of two scorers without a model of their own, nothing says which one asked another model
    open_ = {s for s in scorers.values() if _plain(s) not in RULES and not _GRADED.match(_plain(s))}
    for judge, scorer in scorers.items():
        name = judge_name(scorer)
        found = listed.get(name) or listed.get(_plain(scorer)) or _Listed({}, "samples[].scores")
        graders = _named(found) or _by_role(log, found, _plain(scorer))
        if graders is None and _plain(scorer) not in RULES and len(open_) == 1:
            graders = _others(log, grading=grading)
        for field, (value, key, note) in _entry(scorer, found, graders, version).items():
            yield Fact(("judge", judge, field), value, log.file, key, note=note)
        yield Fact(("judge", judge, "name"), judge, log.file, found.file_key)


def _plain(scorer: str) -> str:
    """Return a scorer's own name; Inspect numbers those of one name: `match`, `match1`."""
    name = scorer.rpartition("/")[2]
    base = name.rstrip("0123456789")
    return base if base in RULES or _GRADED.match(base) else name


def _entry(
    scorer: str, found: _Listed, graders: _Graders | None, version: str
) -> dict[str, tuple[Any, str, str]]:
    key = found.file_key
    if graders is not None:
        template = found.options.get("grader_template") or found.options.get("template")
        names = ", ".join(graders.names) or Absent("the log does not name the model that it asks")
        why = Absent("the log names the model without a revision")
        values = {
            "kind": ("llm", graders.where, graders.note),
            "id": (names, graders.where, ""),
            "revision": (why, "", ""),
        }
        if isinstance(template, str):
            digest = hashlib.sha256(template.encode()).hexdigest()
            values["prompt_template_sha256"] = (digest, f"{key}.options.grader_template", "")
        return values
    if _plain(scorer) in RULES:
        own = f"inspect/{_plain(scorer)}"
        return {"kind": ("rule", key, ""), "id": (own, key, ""), "revision": (version, "", "")}
    return {field: (Absent(_UNTOLD), key, "") for field in ("kind", "id", "revision")}


def _listed(log: Record) -> dict[str, _Listed]:
    """Return the scorers in a header, by name: those of `eval`, and of results in old logs."""
    header = log.at("eval")
    found: dict[str, _Listed] = {}
    results = log.at("results").items("scores") or []
    for place, number, one in (
        *(("eval.scorers", n, one) for n, one in enumerate(header.items("scorers") or [])),
        *(("results.scores", n, one) for n, one in enumerate(results)),
    ):
        if not isinstance(one, dict):
            continue
        name = one.get("scorer") or one.get("name")
        options = one.get("options") or one.get("params")
        base = judge_name(name) if isinstance(name, str) else ""
        if not base or (place == "results.scores" and base in found):
            continue
        # as Inspect numbers scorers of one name: match, match1
        names = chain([base], (f"{base}{n}" for n in count(1)))
        free = next(name for name in names if name not in found)
        found[free] = _Listed(options if isinstance(options, dict) else {}, f"{place}[{number}]")
    return found


def _named(found: _Listed) -> _Graders | None:
    """Return the models that a scorer's options name."""
    names = dict.fromkeys(
        (name, key)
        for key, value in found.options.items()
        if _NAMES_MODEL.search(key)
        for name in _models(value)
    )
    if not names:
        return None
    where = f"{found.file_key}.options.{next(iter(names))[1]}"
    several = "a majority of these models" if len(names) > 1 else ""
    return _Graders(tuple(dict.fromkeys(name for name, _ in names)), where, several)


def _models(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if _MODEL.match(value):
            yield value
    elif isinstance(value, dict):
        yield from _models(value.get("model") or value.get("name"))
    elif isinstance(value, list):
        for one in value:
            yield from _models(one)


def _by_role(log: Record, found: _Listed, scorer: str) -> _Graders | None:
    """Return the model of a scorer's role; of Inspect's own graders, else the evaluated one."""
    role = found.options.get("model_role")
    role = role.get("name") if isinstance(role, dict) else role
    if role is None and not _GRADED.match(scorer):
        return None
    role = role if isinstance(role, str) else "grader"
    bound = tuple(_models(log.at("eval", "model_roles").data.get(role)))
    if bound:
        return _Graders(bound, f"eval.model_roles.{role}")
    own = log.at("eval").text("model") or ""
    return _Graders((own,), "eval.model", "no grader is named, so that the model graded itself")


def _others(log: Record, *, grading: bool) -> _Graders | None:
    """Return the models beside the evaluated one, where something shows that one graded."""
    own = log.at("eval").text("model")
    roles = log.at("eval", "model_roles").data
    used = log.at("stats", "model_usage").data
    names = tuple(name for role in roles.values() for name in _models(role))
    names = names or tuple(name for name in used if name != own)
    if not (names or grading):
        return None
    where = "eval.model_roles" if roles else "stats.model_usage" if names else "scores.metadata"
    note = "the only model beside the one that was measured"
    return _Graders(names, where, note) if len(names) == 1 else _Graders((), where)
