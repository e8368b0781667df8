"""Section by section, what two cards do differently.

What follows from a difference that is already named is not named again.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from safebench.card.differing import (
    Notes,
    Pair,
    both_given,
    both_texts,
    compare_identity,
    each,
    either_key,
    in_words,
    is_absent,
    is_unknown,
    label_of,
    only,
    walk,
)
from safebench.card.digest import DATA_FIELDS, MODEL_FIELDS, NOT_CAUSAL

# Settings that belong to some methods of fine-tuning alone.
_OF_METHODS = ("lora", "quantization", "prompt", "trainable")
# The same quantity in one of several units.
_UNITS = {"warmup": ("warmup_steps", "warmup_ratio"), "length": ("epochs", "steps")}
_ROLES = ("tuned", "control")


def compare_methods(pair: Pair, notes: Notes) -> bool:
    """Note that one side alone is fine-tuned; return whether both are, as far as is known."""
    found = each(pair, "method")
    if "none" not in found:
        return True
    if None in found:
        notes.cannot_tell("hyperparameters", pair, "hyperparameters")
    elif found[0] != found[1]:
        notes.differ("hyperparameters.method", found, "hyperparameters")
    return False


def compare_models(pair: Pair, notes: Notes, *, tuned: bool) -> bool:
    """Compare models; return whether what examples are rendered with differs."""
    before = len(notes.variables)
    access, bases = each(pair, "access"), each(pair, "base")
    if access[0] != access[1]:
        labels = tuple(f"{a}: {label_of(b)}" for a, b in zip(access, bases, strict=True))
        notes.differ("model.base", (labels[0], labels[1]), "model")
        other = True
    else:
        full = tuple({**only(m, ("provider", "snapshot")), **m["base"]} for m in pair)
        other = compare_identity("model.base", (full[0], full[1]), notes, "model")
    for name in MODEL_FIELDS:
        follows = other and (name == "snapshot" or not all(name in m for m in pair))
        if name not in ("access", "provider") and not follows:
            walk(f"model.{name}", each(pair, name), notes, "model")
    _template("model.chat_template", each(pair, "chat_template"), notes, other)
    training = each(pair, "training_chat_template")
    if tuned and training != (None, None):
        used = [t or m.get("chat_template") for t, m in zip(training, pair, strict=True)]
        _template("model.training_chat_template", (used[0], used[1]), notes, other)
    return len(notes.variables) > before


def _template(name: str, pair: Pair, notes: Notes, other_model: bool) -> None:
    """Compare chat templates by their text; another model's own is part of that model."""
    if pair == (None, None) or not both_given(name, pair, notes, "model"):
        return
    sources, digests = each(pair, "source"), each(pair, "sha256")
    own = other_model and sources == ("tokenizer", "tokenizer")
    if own or (both_texts(digests) and digests[0] == digests[1]):
        return
    if sources[0] != sources[1]:
        notes.differ(name, sources, "model")
    elif both_texts(digests):
        notes.differ(f"{name}.sha256", digests, "model")
    elif sources[0] != "none":
        notes.cannot_tell(f"{name}.sha256", digests, "model")


def compare_data(pair: Pair, notes: Notes, *, other_rendering: bool) -> bool:
    """Compare training data by role and name; return whether a set took another's place."""
    if not both_given("data", pair, notes, "data"):
        return False
    replaced = False
    for role in _ROLES:
        a, b = ({d["name"]: d for d in sets if d["role"] == role} for sets in pair)
        for name in sorted(a.keys() & b.keys()):
            _dataset(f"data.{name}", (a.pop(name), b.pop(name)), notes, other_rendering)
        _drop_twins("data", a, b, notes)
        for name in sorted(a):
            alike = next((n for n in sorted(b) if _alike("data", a[name], b[n])), None)
            if alike is not None:  # no digest says whether the two names mean one set
                del a[name], b[alike]
                notes.cannot_tell(f"data ({role})", (name, alike), "data", role)
        if a or b:
            replaced = True
            names = [", ".join(sorted(sets)) or None for sets in (a, b)]
            notes.differ(f"data ({role})", (names[0], names[1]), "data", role)
    return replaced


def _dataset(name: str, pair: Pair, notes: Notes, other_rendering: bool) -> None:
    role, before = pair[0]["role"], len(notes.variables)
    files, revisions = each(pair, "sha256"), each(pair, "revision")
    fields = ["answers", "weight", "split", "subset", "examples"]
    if both_texts(files) and files[0] != files[1]:
        words = [f"{in_words('sha256', d['sha256'])} of {in_words('', d['examples'])} examples"
                 for d in pair]  # fmt: skip
        notes.differ(name, (words[0], words[1]), "data", role)
        fields = fields[:2]  # the others say which part of a file that is another one anyway
    elif not both_texts(files):
        if both_texts(revisions):
            walk(f"{name}.revision", revisions, notes, "data", role)
        else:
            notes.cannot_tell(f"{name}.sha256", files, "data", role)
    for key in fields:
        walk(f"{name}.{key}", each(pair, key), notes, "data", role)
    templates = [t if is_unknown(t) or isinstance(t, str) else only(t, ("sha256",))
                 for t in each(pair, "template")]  # fmt: skip
    walk(f"{name}.template", (templates[0], templates[1]), notes, "data", role)
    texts = each(pair, "rendered_sha256")
    if both_texts(texts) and not other_rendering and len(notes.variables) == before:
        walk(f"{name}.rendered_sha256", texts, notes, "data", role)


def compare_stages(prefix: str, pair: Pair, notes: Notes, *, other_sets: bool) -> None:
    """Compare two stages of training, and the stages before them in their order."""
    section = "hyperparameters"
    if not both_given(prefix, pair, notes, section):
        return
    skipped = {*NOT_CAUSAL[section], "objective", "batch_size", "earlier_stages"}
    skipped |= {"data"} if other_sets else set()
    methods = each(pair, "method")
    if methods[0] != methods[1]:
        skipped |= {name for name in _OF_METHODS if (name in pair[0]) != (name in pair[1])}
    objectives = each(pair, "objective")
    kinds = [o.get("kind") if isinstance(o, dict) else o for o in objectives]
    if kinds[0] != kinds[1] and not any(map(is_unknown, objectives)):
        objectives = (kinds[0], kinds[1])
    walk(f"{prefix}.objective", objectives, notes, section)
    _batch_sizes(f"{prefix}.batch_size", each(pair, "batch_size"), notes)
    for name, fields in _UNITS.items():
        given = [only(stage, fields) for stage in pair]
        if given[0].keys() != given[1].keys():
            skipped.update(fields)
            words = [in_words("", g) or None for g in given]
            notes.differ(f"{prefix}.{name}", (words[0], words[1]), section)
    for name in either_key(pair):
        if name not in skipped:
            walk(f"{prefix}.{name}", each(pair, name), notes, section)
    _earlier(f"{prefix}.earlier_stages", each(pair, "earlier_stages"), notes, other_sets)


def _earlier(name: str, pair: Pair, notes: Notes, other_sets: bool) -> None:
    if any(map(is_unknown, pair)):
        notes.cannot_tell(name, pair, "hyperparameters")
        return
    stages = [stages or [] for stages in pair]
    if len(stages[0]) != len(stages[1]):
        notes.differ(name, (len(stages[0]), len(stages[1])), "hyperparameters")
        return
    for number, (a, b) in enumerate(zip(*stages, strict=True)):
        compare_stages(f"{name}[{number}]", (a, b), notes, other_sets=other_sets)


def _batch_sizes(name: str, pair: Pair, notes: Notes) -> None:
    """Compare batch sizes as one quantity: the product and its factors."""
    products = [_product(size) for size in pair]
    if None not in products:
        words = [f"{p} ({' x '.join(str(f) for f in _factors(size))})"
                 for p, size in zip(products, pair, strict=True)]  # fmt: skip
        walk(name, (words[0], words[1]), notes, "hyperparameters")
        return
    totals = [p or (s or {}).get("effective") for p, s in zip(products, pair, strict=True)]
    given = all(isinstance(total, int) for total in totals)
    if given and totals[0] != totals[1]:
        notes.differ(f"{name}.effective", (totals[0], totals[1]), "hyperparameters")
    elif given or any(size is None or "effective" not in size for size in pair):
        rest = [s and {k: v for k, v in s.items() if k != "effective"} for s in pair]
        walk(name, (rest[0], rest[1]), notes, "hyperparameters")
    else:
        walk(name, pair, notes, "hyperparameters")


def _factors(size: dict[str, Any]) -> list[Any]:
    return [size.get(name) for name in ("per_device", "gradient_accumulation", "devices")]


def _product(size: Any) -> int | None:
    factors = [] if is_absent(size) else _factors(size)
    return prod(factors) if factors and all(isinstance(f, int) for f in factors) else None


def compare_prompting(pair: Pair, notes: Notes) -> None:
    """Compare what surrounds a prompt; another attack is one variable."""
    if not both_given("prompting", pair, notes, "prompting"):
        return
    for name in either_key(pair):
        values = each(pair, name)
        if name == "attack" and not any(map(is_unknown, values)):
            names = [v["name"] if isinstance(v, dict) else v for v in values]
            values = (names[0], names[1]) if names[0] != names[1] else values
        walk(f"prompting.{name}", values, notes, "prompting")


def compare_named(section: str, pair: Pair, notes: Notes) -> None:
    """Compare the items of a list by name; what only one side has changes no shared score."""
    if not both_given(section, pair, notes, section):
        return
    a, b = ({entry["name"]: entry for entry in map(_entry, items)} for items in pair)
    for name in sorted(a.keys() & b.keys()):
        NAMED[section](f"{section}.{name}", (a.pop(name), b.pop(name)), notes, name)
    _drop_twins(section, a, b, notes)
    for side, entries in (("A", a), ("B", b)):
        notes.extent += [f"{section}.{name} only in {side}" for name in sorted(entries)]


def _drop_twins(section: str, a: dict[str, Any], b: dict[str, Any], notes: Notes) -> None:
    """Take away what is the same under another name."""
    for name in sorted(a):
        twin = next((n for n in sorted(b) if is_twin(section, a[name], b[n])), None)
        if twin is not None:
            del a[name], b[twin]
            notes.extent.append(f"{section}.{name} of A is {section}.{twin} of B")


def is_twin(section: str, a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Tell whether two named items are known to be the same one, whatever each is called."""
    if section == "tasks":
        return bool(a["name"] == b["name"])  # a task is its name
    pinned = section != "data" or both_texts((a.get("sha256"), b.get("sha256")))
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


def _entry(item: Any) -> dict[str, Any]:
    return {"name": item} if isinstance(item, str) else item


def _decoding(path: str, pair: Pair, notes: Notes, name: str) -> None:
    repeats = [in_words("", count) for count in each(pair, "repeats")]
    if repeats[0] != repeats[1]:
        notes.extent.append(f"{path}.repeats: {repeats[0]} in A, {repeats[1]} in B")
    keys = [key for key in either_key(pair) if key not in NOT_CAUSAL["decoding"]]
    sampled = each(pair, "do_sample")
    if sampled[0] != sampled[1]:
        words = ["sampled" if sampling else "greedy" for sampling in sampled]
        notes.differ(path, (words[0], words[1]), "decoding", name)
        keys = [k for k in keys if k in pair[0] and k in pair[1] and k != "do_sample"]
    for key in keys:
        walk(f"{path}.{key}", each(pair, key), notes, "decoding", name)


def _judge(path: str, pair: Pair, notes: Notes, name: str) -> None:
    kinds = each(pair, "kind")
    if kinds[0] != kinds[1]:
        labels = [f"{entry['kind']} {label_of(entry)}" for entry in pair]
        notes.differ(path, (labels[0], labels[1]), "judge", name)
    elif not compare_identity(path, pair, notes, "judge", name):
        for key in either_key(pair):
            if key not in NOT_CAUSAL["judge"] | {"id", "revision", "provider"}:
                walk(f"{path}.{key}", each(pair, key), notes, "judge", name)


def _task(path: str, pair: Pair, notes: Notes, name: str) -> None:
    versions, digests, limits = (each(pair, key) for key in ("version", "dataset_sha256", "limit"))
    if limits[0] != limits[1]:  # fewer prompts, and therefore another digest
        words = [in_words("", limit) for limit in limits]
        notes.extent.append(f"{path}.limit: {words[0]} in A, {words[1]} in B")
    if both_texts(versions) and versions[0] != versions[1]:
        notes.differ(f"{path}.version", versions, "tasks", name)
    elif not both_texts(digests):
        notes.cannot_tell(f"{path}.dataset_sha256", digests, "tasks", name)
    elif digests[0] != digests[1] and limits[0] == limits[1]:
        notes.differ(f"{path}.dataset_sha256", digests, "tasks", name)


NAMED: dict[str, Callable[[str, Pair, Notes, str], None]] = {
    "decoding": _decoding,
    "judge": _judge,
    "tasks": _task,
}
"""How items are compared in the lists whose items answer to a name."""
