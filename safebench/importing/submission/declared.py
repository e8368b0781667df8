"""What a person declares about imported runs, as facts: in a card or part of one, in options."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safebench.card.decoding import SAMPLING_FIELDS
from safebench.card.document import Pointer, dotted
from safebench.card.read import load_document
from safebench.card.schema import card_schema
from safebench.errors import InteropError, visible
from safebench.evidence.documents import check_schema
from safebench.importing.draft.commented import is_absence
from safebench.importing.draft.tree import TO_FILL
from safebench.importing.facts import BY_PERSON, Absent, Fact, Nothing, Place, show

_NAMED = ("data", "decoding", "judge", "tasks")
_COMPUTED = frozenset({"spec", "results", "evidence"})
_ATOMIC = """
    extra primary libraries backend_args optimizer_args lr_scheduler_args settings answers subset
    revision objective attack template training_chat_template fixed self_test
""".split()  # noqa: SIM905 - names are read more easily in lines
"""Mappings that are one value: they are not merged with what another source has for a part."""
_BY_RUNS: frozenset[Place] = frozenset({("model", "weights"), ("seeds", "training")})
"""Fields that responses and folders of weights decide, even where a card lists them."""


def card_facts(file: Path, out: Path) -> list[Fact]:
    """Return what a card, or part of one, declares, with paths relative to `out`.

    Results and evidence are left out, since they are computed anew, and so are marks that are
    still to be filled in. `null` declares that there is none, for fields that a card then leaves
    out: a system prompt, a prefill.

    Raises:
        InteropError: it is not a mapping of a card's sections, or not of its schema.
        ReadError: it cannot be read.
    """
    document = load_document(file)
    data = document.data
    if not isinstance(data, dict):
        raise InteropError(
            f"{visible(str(file))} is not a mapping", fix="give sections of a card, e.g. `judge:`"
        )
    for problem in document.problems:  # a key that occurs twice, a number that is not finite
        raise InteropError(
            f"{visible(str(file))}:{problem.place.line}: {problem.message}", fix=problem.fix
        )
    declared = {name: value for name, value in data.items() if name not in _COMPUTED}
    for section, value in declared.items():
        _check_section(section, value, file)
    check_schema(declared, "answers", file, InteropError)
    return [
        fact
        for section, value in declared.items()
        for fact in _facts(value, (section,), (section,), file, out)
    ]


def answers_schema() -> dict[str, Any]:
    """Return the JSON Schema of what --card gives, published as spec/v1/answers.schema.json.

    It is the schema of a card in which every field may be left out, be `not_reported`, or be null,
    which means that there is none. What is computed anew is not checked.
    """
    schema = card_schema()
    schema["properties"] |= {name: {} for name in _COMPUTED}
    for node in (schema, *schema["$defs"].values()):
        if node is not schema["$defs"]["NotReported"]:
            node.pop("required", None)
            absent = [{"type": "null"}, {"$ref": "#/$defs/NotReported"}]
            for name, value in node.get("properties", {}).items():
                node["properties"][name] = {"anyOf": [value, *absent]}
    about = {"$id": "urn:safebench:spec:v1:answers", "title": "Parts of a card (import --card)"}
    return schema | about


def _check_section(name: str, value: Any, file: Path) -> None:
    """Check the shape of a section: only `data` and mappings can be absent as a whole."""
    fits = isinstance(value, list if name in _NAMED else dict)
    if not fits and not (name == "data" and is_absence(value)):
        expected = "a list, each item with its name" if name in _NAMED else "a mapping"
        raise InteropError(
            f"{visible(str(file))}: {visible(name)} is {show(value)}, expected {expected}",
            fix="give sections as the standard has them, e.g. `judge: [{name: mine, ...}]`",
        )


def card_seeds(file: Path) -> tuple[int, ...]:
    """Return the training seeds that a card lists; none where it gives a number or nothing."""
    data = load_document(file).data
    seeds = data.get("seeds") if isinstance(data, dict) else None
    listed = seeds.get("training") if isinstance(seeds, dict) else None
    return tuple(s for s in listed if isinstance(s, int)) if isinstance(listed, list) else ()


def _facts(value: Any, place: Place, at: Pointer, file: Path, out: Path) -> Iterator[Fact]:
    if place in _BY_RUNS:
        return
    if value is None:  # in a card null never means unknown
        yield Fact(place, Nothing(), file, dotted(at), rank=BY_PERSON)
        return
    if is_absence(value):
        reason = str(value["not_reported"])
        if not reason.startswith(TO_FILL):
            yield Fact(place, value, file, dotted(at), rank=BY_PERSON)
    elif isinstance(value, dict) and value and place[-1] not in _ATOMIC:
        for key, item in value.items():
            yield from _facts(item, (*place, str(key)), (*at, str(key)), file, out)
    elif isinstance(value, list) and len(place) == 1 and place[0] in _NAMED:
        for number, item in enumerate(value):
            item = {"name": item} if isinstance(item, str) else item
            if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                raise InteropError(
                    f"{visible(str(file))}: {dotted((*at, number))} has no name",
                    fix="name every item of the list",
                )
            for key, part in item.items():
                name = (*place, item["name"], str(key))
                yield from _facts(part, name, (*at, number, str(key)), file, out)
    else:
        yield Fact(place, _moved(value, place, file, out), file, dotted(at), rank=BY_PERSON)


def _moved(value: Any, place: Place, file: Path, out: Path) -> Any:
    """Return a value, with paths, and names that are folders beside the card, seen from `out`."""
    if isinstance(value, dict):
        return {key: _moved(item, (*place, key), file, out) for key, item in value.items()}
    is_path = place[-1] == "path"
    is_name = place[-1] == "id" and place[0] in ("model", "judge")
    if isinstance(value, str) and (is_path or (is_name and (file.parent / value).is_dir())):
        return seen_from(file.parent / value, out)
    return value


def seen_from(path: Path, folder: Path) -> str:
    """Return a path as it is written in a card that lies in a folder."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def setting_facts(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[Fact]:
    """Yield the settings of decodings from options, under the decodings' names."""
    for name, values in settings.items():
        for field, value in {"name": name, **values}.items():
            key = "--decoding"
            yield Fact(("decoding", name, field), value, None, key=key, note=key, rank=BY_PERSON)


def keyed(facts: Iterable[Fact], settings: Iterable[Fact]) -> list[Fact]:
    """Return a person's facts about decodings, by name, under the keys of the files' decodings.

    Raises:
        InteropError: not exactly one decoding of the files has these settings.
    """
    recorded = _decodings(facts)
    declared = list(settings)
    found = []
    for name, values in _decodings(declared).items():
        if name in recorded or not recorded:
            keys = [name]
        else:
            named = [key for key, one in recorded.items() if one.get("name") == name]
            keys = named or [key for key, one in recorded.items() if _agree(values, one)]
        if len(keys) != 1:
            listed = "; ".join(_words(one) for one in recorded.values())
            what = f"{len(keys)} different settings agree" if keys else "no responses agree"
            raise InteropError(
                f"decoding {visible(name)}: {what} with it; the responses have: {listed}",
                fix="correct its settings, leave it out, or name it beside the responses: "
                "seed=1,decoding=NAME:DIR",
            )
        found += [
            replace(fact, place=("decoding", keys[0], *fact.place[2:]))
            for fact in declared
            if fact.place[1] == name
        ]
    return found


def _decodings(facts: Iterable[Fact]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for fact in facts:
        if fact.place[0] == "decoding":
            found.setdefault(fact.place[1], {}).setdefault(fact.place[-1], fact.value)
    return found


def _agree(declared: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether two settings agree in all that both name.

    A sampling parameter that the files do not name was not set: only a neutral value agrees.
    """
    for field, value in declared.items():
        if field in ("name", "repeats"):
            continue
        if field in found:
            if value != found[field] and not isinstance(found[field], Absent):
                return False
        elif field in SAMPLING_FIELDS and value not in (None, 1.0, [], 0.0):
            return False
    return True


def _words(values: Mapping[str, Any]) -> str:
    known = {k: v for k, v in values.items() if not isinstance(v, Absent) and v not in ([], None)}
    return visible(", ".join(f"{key} {value}" for key, value in known.items()))
