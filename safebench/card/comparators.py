"""What two cards do differently, place by place: `COMPARATORS` says how each is compared.

A place that is not in the table is compared field by field, down to what is not a mapping. What
follows from a difference that is already named is not named again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from math import prod
from typing import Any

from safebench.card.differing import (
    Both,
    are_texts,
    each,
    in_words,
    is_absent,
    is_unknown,
    label_of,
    only,
)
from safebench.card.digest import DATA_FIELDS, MODEL_FIELDS, NOT_CAUSAL

# Settings that belong to some methods of fine-tuning alone.
_OF_METHODS = ("lora", "quantization", "prompt", "trainable")
# The same quantity in one of several units.
_UNITS = {"warmup": ("warmup_steps", "warmup_ratio"), "length": ("epochs", "steps")}
Entries = dict[str, dict[str, Any]]


def compare(here: Both) -> None:
    """Note what differs between two cards at a place."""
    COMPARATORS.get(here.path, _fields)(here)


def _fields(here: Both, skipped: Collection[str] = ()) -> None:
    a, b = here.pair
    if is_unknown(a) or is_unknown(b):
        here.cannot_tell()
    elif isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            if key not in skipped:
                compare(here.under(key))
    elif a != b:
        here.differ()


def _identity(here: Both) -> bool:
    """Compare two things with id and revision; return whether they go by different names."""
    ids, revisions = each(here.pair, "id"), each(here.pair, "revision")
    pinned = are_texts(revisions)
    if pinned and revisions[0] == revisions[1] and revisions[0].startswith("sha256:"):
        return False  # the same bytes, wherever they lay
    unnamed = any(map(is_absent, ids))
    providers = each(here.pair, "provider")
    if providers[0] != providers[1] or (not unnamed and ids[0] != ids[1]):
        here.instead(*map(label_of, here.pair)).differ()
        return True
    if unnamed:
        here.under("id").cannot_tell()
    # A commit and a digest of files cannot be compared with each other.
    if not pinned or len({revision.startswith("sha256:") for revision in revisions}) > 1:
        here.under("revision").cannot_tell()
    elif revisions[0] != revisions[1]:
        here.under("revision").differ()
    return False


def _model(here: Both) -> None:
    access, bases = each(here.pair, "access"), each(here.pair, "base")
    if access[0] != access[1]:
        labels = [f"{how}: {label_of(base)}" for how, base in zip(access, bases, strict=True)]
        here.under("base", (labels[0], labels[1])).differ()
        other = True
    else:
        full = [{**only(m, ("provider", "snapshot")), **m["base"]} for m in here.pair]
        other = _identity(here.under("base", (full[0], full[1])))
    for name in MODEL_FIELDS:
        follows = other and (name == "snapshot" or not all(name in m for m in here.pair))
        if name not in ("access", "provider") and not follows:
            compare(here.under(name))
    compare(here.under("chat_template"))
    templates = each(here.pair, "training_chat_template")
    if templates != (None, None):
        pairs = zip(templates, here.pair, strict=True)
        used = [own or model.get("chat_template") for own, model in pairs]
        compare(here.under("training_chat_template", (used[0], used[1])))


def _template(here: Both) -> None:
    """Compare chat templates by their text; another model's own is part of that model."""
    if here.pair == (None, None) or not here.both_reported():
        return
    sources, digests = each(here.pair, "source"), each(here.pair, "sha256")
    if "none" not in sources:
        for name in ("date", "arguments"):
            compare(here.under(name))
    other_model = any(found.name == "model.base" for found in here.notes.variables)
    own = other_model and sources == ("tokenizer", "tokenizer")
    if own or (are_texts(digests) and digests[0] == digests[1]):
        return
    if sources[0] != sources[1]:
        here.instead(*sources).differ()
    elif are_texts(digests):
        here.under("sha256").differ()
    elif sources[0] != "none":
        here.under("sha256").cannot_tell()


def _data(here: Both) -> None:
    """Compare training data by role and name."""
    for role in ("tuned", "control"):
        a, b = ({d["name"]: d for d in sets if d["role"] == role} for sets in here.pair)
        _same_names(here, a, b, role)
        group = replace(here, name=f"data ({role})", item=role)
        for name in sorted(a):
            alike = next((n for n in sorted(b) if _alike("data", a[name], b[n])), None)
            if alike is not None:  # no digest says whether the two names mean one set
                del a[name], b[alike]
                group.instead(name, alike).cannot_tell()
        if a or b:
            group.instead(*(", ".join(sorted(sets)) or None for sets in (a, b))).differ()


def _dataset(here: Both) -> None:
    before = len(here.notes.variables)
    files, revisions = each(here.pair, "sha256"), each(here.pair, "revision")
    fields = ["template", "answers", "weight", "split", "subset", "examples"]
    if are_texts(files) and files[0] != files[1]:
        words = [
            f"{in_words('sha256', d['sha256'])} of {in_words('', d['examples'])} examples"
            for d in here.pair
        ]
        here.instead(*words).differ()
        fields = fields[:3]  # the others say which part of a file that is another one anyway
    elif not are_texts(files):
        if are_texts(revisions):
            compare(here.under("revision"))
        else:
            here.under("sha256").cannot_tell()
    for key in fields:
        compare(here.under(key))
    other_model = any(found.section == "model" for found in here.notes.variables)
    if not other_model and len(here.notes.variables) == before:
        texts = here.under("rendered_sha256")
        if are_texts(texts.pair):
            compare(texts)


def _rendering(here: Both) -> None:
    """Compare how examples become text: a template's file by its digest, not by its path."""
    templates = [
        only(t, ("sha256",)) if isinstance(t, dict) and not is_unknown(t) else t for t in here.pair
    ]
    _fields(here.instead(*templates))


def _stage(here: Both) -> None:
    """Compare two stages of training, and the stages before them in their order."""
    if not here.both_reported():
        return
    a, b = here.pair
    skipped = set(NOT_CAUSAL["hyperparameters"])
    if any(found.name.startswith("data (") for found in here.notes.variables):
        skipped.add("data")  # where sets have others in their place, so have their names
    if a["method"] != b["method"]:
        skipped |= {name for name in _OF_METHODS if (name in a) != (name in b)}
    for name, fields in _UNITS.items():
        lengths = [only(stage, fields) for stage in here.pair]
        if lengths[0].keys() != lengths[1].keys():
            skipped.update(fields)
            words = [in_words("", length) or None for length in lengths]
            here.under(name, (words[0], words[1])).differ()
    _fields(here, skipped)


def _earlier_stages(here: Both) -> None:
    if any(map(is_unknown, here.pair)):
        here.cannot_tell()
        return
    stages = [stages or [] for stages in here.pair]
    if len(stages[0]) != len(stages[1]):
        here.instead(*map(len, stages)).differ()
        return
    for number, pair in enumerate(zip(*stages, strict=True)):
        compare(Both(f"{here.name}[{number}]", "hyperparameters", pair, here.notes))


def _by_kind(key: str) -> Callable[[Both], None]:
    """Return a comparator of mappings or words: another kind of thing is one difference."""

    def kinds(here: Both) -> None:
        found = [value.get(key) if isinstance(value, dict) else value for value in here.pair]
        other = found[0] != found[1] and not any(map(is_unknown, here.pair))
        _fields(here.instead(*found) if other else here)

    return kinds


def _batch_size(here: Both) -> None:
    """Compare batch sizes as one quantity: the product and its factors."""
    products = [_product(size) for size in here.pair]
    if None not in products:
        words = [
            f"{product} ({' x '.join(str(factor) for factor in _factors(size))})"
            for product, size in zip(products, here.pair, strict=True)
        ]
        _fields(here.instead(*words))
        return
    totals = [p or (s or {}).get("effective") for p, s in zip(products, here.pair, strict=True)]
    known = all(isinstance(total, int) for total in totals)
    if known and totals[0] != totals[1]:
        here.under("effective", (totals[0], totals[1])).differ()
    elif known or any(size is None or "effective" not in size for size in here.pair):
        # One of the products is known, so that the other side's needs no line of its own.
        rest = [s and {k: v for k, v in s.items() if k != "effective"} for s in here.pair]
        _fields(here.instead(*rest))
    else:
        _fields(here)


def _factors(size: dict[str, Any]) -> list[Any]:
    return [size.get(name) for name in ("per_device", "gradient_accumulation", "devices")]


def _product(size: Any) -> int | None:
    factors = [] if is_absent(size) else _factors(size)
    return prod(factors) if factors and all(isinstance(f, int) for f in factors) else None


def _seeds(here: Both) -> None:
    for name in ("controls", "fixed"):
        compare(here.under(name))


def _named(here: Both) -> None:
    """Compare the items of a list by name; what only one side has changes no shared score."""
    a, b = ({entry["name"]: entry for entry in map(_entry, items)} for items in here.pair)
    _same_names(here, a, b)
    for side, entries in (("A", a), ("B", b)):
        here.notes.extent += [f"{here.name}.{name} only in {side}" for name in sorted(entries)]


def _entry(item: Any) -> dict[str, Any]:
    return {"name": item} if isinstance(item, str) else item


def _same_names(here: Both, a: Entries, b: Entries, item: str | None = None) -> None:
    """Compare entries of one name; remove them, and those that are the same under other names."""
    for name in sorted(a.keys() & b.keys()):
        pair = a.pop(name), b.pop(name)
        compare(Both(f"{here.name}.{name}", f"{here.path}[]", pair, here.notes, item or name))
    for name in sorted(a):
        twin = next((n for n in sorted(b) if is_twin(here.section, a[name], b[n])), None)
        if twin is not None:
            del a[name], b[twin]
            here.notes.extent.append(f"{here.name}.{name} of A is {here.name}.{twin} of B")


def is_twin(section: str, a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Tell whether two named items are known to be the same one, whatever each is called."""
    if section == "tasks":
        return bool(a["name"] == b["name"])  # a task is its name
    pinned = section != "data" or are_texts((a.get("sha256"), b.get("sha256")))
    return pinned and _alike(section, a, b)


def _alike(section: str, a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Tell whether all that the digest covers is alike."""
    one, other = (
        only(entry, DATA_FIELDS)
        if section == "data"
        else {k: v for k, v in entry.items() if k not in {"name", *NOT_CAUSAL[section]}}
        for entry in (a, b)
    )
    return one == other


def _decoding(here: Both) -> None:
    _amount(here, "repeats")
    a, b = here.pair
    skipped = set(NOT_CAUSAL["decoding"])
    if a["do_sample"] != b["do_sample"]:
        here.instead(*("sampled" if d["do_sample"] else "greedy" for d in here.pair)).differ()
        skipped |= {"do_sample", *(a.keys() ^ b.keys())}
    _fields(here, skipped)


def _judge(here: Both) -> None:
    if here.pair[0]["kind"] != here.pair[1]["kind"]:
        here.instead(*(f"{entry['kind']} {label_of(entry)}" for entry in here.pair)).differ()
    elif not _identity(here):
        _fields(here, NOT_CAUSAL["judge"] | {"id", "revision", "provider"})


def _task(here: Both) -> None:
    versions, digests = each(here.pair, "version"), each(here.pair, "dataset_sha256")
    other_limit = _amount(here, "limit")  # fewer prompts, and therefore another digest
    if are_texts(versions) and versions[0] != versions[1]:
        here.under("version").differ()
    elif not are_texts(digests):
        here.under("dataset_sha256").cannot_tell()
    elif digests[0] != digests[1] and not other_limit:
        here.under("dataset_sha256").differ()


def _amount(here: Both, field: str) -> bool:
    """Note a difference in how much was measured; return whether there is one."""
    a, b = (in_words("", value) for value in each(here.pair, field))
    if a != b:
        here.notes.extent.append(f"{here.name}.{field}: {a} in A, {b} in B")
    return a != b


COMPARATORS: dict[str, Callable[[Both], None]] = {
    "model": _model,
    "model.chat_template": _template,
    "model.training_chat_template": _template,
    "data": _data,
    "data[]": _dataset,
    "data[].template": _rendering,
    "hyperparameters": _stage,
    "hyperparameters.objective": _by_kind("kind"),
    "hyperparameters.batch_size": _batch_size,
    "hyperparameters.earlier_stages": _earlier_stages,
    "seeds": _seeds,
    "prompting.attack": _by_kind("name"),
    "decoding": _named,
    "decoding[]": _decoding,
    "judge": _named,
    "judge[]": _judge,
    "tasks": _named,
    "tasks[]": _task,
}
"""How places are compared that are not compared field by field."""
