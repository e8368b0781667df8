"""The protocol digest and the seeds derived from it (spec/v1/seeds.md).

The digest covers only what could change an outcome, so a title cannot be ground for lucky seeds,
and a number of seeds or repeats can grow without changing those already drawn.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Literal

import rfc8785

from safebench.card.base import LEFT_OUT, require
from safebench.card.card import Card
from safebench.card.results import HasPlace

Role = Literal["training", "generation"]

DATA_FIELDS = (
    "role",
    "revision",
    "answers",
    "split",
    "subset",
    "weight",
    "sha256",
    "examples",
    "template",
    "rendered_sha256",
)
_TASK_FIELDS = ("name", "version", "dataset_sha256", "limit")
MODEL_FIELDS = (
    "access",
    "provider",
    "snapshot",
    "moderation",
    "template_arguments",
    "dtype",
    "quantization",
)
_EXACT = 2**53 - 1
NOT_CAUSAL = {
    "decoding": {"repeats", "repeat_control"},
    "judge": {"name", "primary", "calibration", "self_test", "lineage"},
    "hyperparameters": {"checkpoints", "checkpoint_unit"},
}


def causal_fields(card: Card) -> dict[str, Any]:
    """Return the part of a card that the digest covers, as plain JSON values.

    Fields that a run fills in (digests of files, commits) are part of it: the digest of a plan
    is that of the plan with them resolved. A field that has its default is left out, so that a
    default written out changes nothing, nor does a field that a later minor version adds.
    """
    data = without_reasons(card.model_dump(mode="json", exclude_none=True, exclude_defaults=True))
    model = data["model"]
    base = dict(model["base"])
    if str(base.get("revision", "")).startswith("sha256:"):
        base.pop("id")  # the bytes are known; where they lay is not causal
    seeds = data["seeds"]
    return {
        "spec": "safebench/1",
        "model": {
            "base": base,
            **{k: model[k] for k in MODEL_FIELDS if k in model},
            **{
                k: _without(model[k], {"path"})
                for k in ("chat_template", "training_chat_template")
                if k in model
            },
        },
        "data": _each(data.get("data", []), _dataset),
        "hyperparameters": _training(data["hyperparameters"]),
        "decoding": _each(data["decoding"], lambda d: _without(d, NOT_CAUSAL["decoding"])),
        "prompting": data.get("prompting", {}),
        "judge": _each(data["judge"], _judge),
        "tasks": _each(
            [{"name": t} if isinstance(t, str) else t for t in _items(data["tasks"])],
            lambda t: {k: t[k] for k in _TASK_FIELDS if k in t},
        ),
        "controls": seeds.get("controls", []),
        "fixed": seeds.get("fixed", {}),
    }


def without_reasons(value: Any) -> Any:
    """Return plain data in which an absence has no reason: other words change no outcome."""
    if isinstance(value, list):
        return [without_reasons(item) for item in value]
    if isinstance(value, int) and abs(value) > _EXACT:
        return float(value)  # as RFC 8785 has it: every number is a double
    if not isinstance(value, dict):
        return value
    for key in ("not_reported", "unpinnable"):
        if key in value:
            return {key: True}
    left_out = {"not_reported": LEFT_OUT}  # whatever a reader takes that for
    return {key: without_reasons(item) for key, item in value.items() if item != left_out}


def _dataset(value: dict[str, Any]) -> dict[str, Any]:
    kept = {k: value[k] for k in DATA_FIELDS if k in value}
    if "answers" in kept:  # what the base model will answer follows from the rest, and from a seed
        kept = _without(kept, {"sha256", "rendered_sha256"})
    if isinstance(kept.get("template"), dict):
        kept["template"] = _without(kept["template"], {"path"})
    return kept


def _judge(value: dict[str, Any]) -> dict[str, Any]:
    kept = _without(value, NOT_CAUSAL["judge"])
    if str(kept.get("revision", "")).startswith("sha256:"):
        kept.pop("id", None)  # as for the base model
    if isinstance(kept.get("template"), dict):
        kept["template"] = _without(kept["template"], {"path"})
    if isinstance(kept.get("sheets"), list):
        kept["sheets"] = [_without(sheet, {"path"}) for sheet in kept["sheets"]]
    return kept


def _training(value: dict[str, Any]) -> dict[str, Any]:
    kept = _without(value, NOT_CAUSAL["hyperparameters"])
    earlier = kept.get("earlier_stages")
    if isinstance(earlier, list):
        kept["earlier_stages"] = [_training(stage) for stage in earlier]
    return kept


def protocol_digest(card: Card) -> str:
    """Return the SHA-256 of the causal fields in RFC 8785 form, 64 hexadecimal digits."""
    return hashlib.sha256(rfc8785.dumps(causal_fields(card))).hexdigest()


def generation_digest(card: Card) -> str:
    """Return the same digest without judges, which read what was generated and change none of it.

    Seeds are derived from it, so a judge can be added or corrected, and its words cannot be ground.
    """
    fields = causal_fields(card)
    del fields["judge"]
    return hashlib.sha256(rfc8785.dumps(fields)).hexdigest()


def measurement_digest(card: Card, place: HasPlace) -> str:
    """Return the SHA-256 of all that one number was measured by, and nothing of what was measured.

    Prompts (the task's name where their digest is not reported), construct, decoding, judge and
    prompting; no model, no training, no names that a submitter chooses. Numbers of two cards are
    read against each other where it is the same, so that nobody climbs a board by declaring the
    kinder decoding. Repeats are not part of it: they make a number surer and no other.
    """
    plain = card.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    decodings = {d["name"]: d for d in _items(plain.get("decoding"))}
    judges = {j["name"]: j for j in _items(plain.get("judge"))}
    task = next((t for t in card.task_list() if t.name == place.task), None)
    prompts = None if task is None else task.dataset_sha256
    measured = {
        "task": {"dataset_sha256": prompts} if isinstance(prompts, str) else {"name": place.task},
        "construct": place.construct,
        "decoding": _without(decodings.get(place.decoding, {}), {"name", *NOT_CAUSAL["decoding"]}),
        "judge": _judged_by(place.judge, judges),
        "prompting": plain.get("prompting", {}),
    }
    return hashlib.sha256(rfc8785.dumps(without_reasons(measured))).hexdigest()


def _judged_by(name: str, judges: dict[str, dict[str, Any]], depth: int = 8) -> Any:
    """Return what is causal of a judge, and of those that it puts together, without their names."""
    judge = _without(_judge(judges.get(name, {})), {"constructs"})  # the number says its own
    if depth and isinstance(judge.get("members"), list):
        members = [_judged_by(member, judges, depth - 1) for member in judge["members"]]
        judge["members"] = sorted(members, key=rfc8785.dumps)
    return judge


def derive_seed(digest: str, nonce: str, series: str, role: Role, index: int) -> int:
    """Return one derived seed, an integer in [0, 2**32).

    HKDF-SHA256 (RFC 5869): input key material is the digest's 32 bytes, the salt is the nonce in
    UTF-8, info is `safebench/1 SERIES ROLE INDEX`; the first 4 bytes, big-endian.
    """
    key = hmac.new(nonce.encode(), bytes.fromhex(digest), hashlib.sha256).digest()
    info = f"safebench/1 {series} {role} {index}".encode()
    block = hmac.new(key, info + b"\x01", hashlib.sha256).digest()
    return int.from_bytes(block[:4], "big")


def derive_seeds(card: Card, count: int) -> tuple[int, ...]:
    """Return the card's derived training seeds, `count` of them, in order.

    Raises:
        CardError: the nonce is not reported.
    """
    digest = generation_digest(card)
    return tuple(
        derive_seed(digest, _nonce(card), _series(card), "training", i) for i in range(count)
    )


def generation_seed(card: Card) -> int:
    """Return the card's derived generation seed; raises CardError as `derive_seeds` does."""
    return derive_seed(generation_digest(card), _nonce(card), _series(card), "generation", 0)


def _nonce(card: Card) -> str:
    return str(require(getattr(card.seeds, "nonce", "self_derived"), "seeds.nonce"))


def _series(card: Card) -> str:
    return str(getattr(card.seeds, "series", "original"))


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _without(value: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {k: v for k, v in value.items() if k not in names}


def _each(value: Any, keep: Any) -> Any:
    """Return the kept part of every item in canonical order; an absence stays an absence."""
    if not isinstance(value, list):
        return value
    return sorted((keep(item) for item in value), key=rfc8785.dumps)
