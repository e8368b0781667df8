"""Judges that safety papers name, as entries of a card: read from presets.yaml."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast

import yaml

from safebench.card.base import NotReported
from safebench.card.judge import DistributionTemplate, FileTemplate, ModelJudge
from safebench.errors import JudgeError
from safebench.judges.interface import Missing
from safebench.judges.pinned import cached_commit
from safebench.judges.registry import missing

_FILE: Final = Path(__file__).with_name("presets.yaml")


@dataclass(frozen=True)
class Preset:
    """One judge, with what a reader has to know of it."""

    name: str
    about: str
    published: str
    """Where the template's text is."""
    digest: Literal["seen", "unseen"]
    """Whether its digest was taken from what `published` names."""
    licence: dict[str, str]
    """Of the weights and of the text."""
    citation: str
    note: str
    entry: dict[str, Any]
    """The entry of a card, with the commit of weights that are on this machine."""

    def judge(self) -> ModelJudge:
        """Return the entry as the card has it."""
        return ModelJudge.model_validate_json(json.dumps({"name": self.name, **self.entry}))

    def source(self) -> str:
        """Return where the template comes from, in a word or two."""
        template = self.judge().template
        if isinstance(template, DistributionTemplate):
            return f"{template.distribution} {template.version}"
        return "a file" if isinstance(template, FileTemplate) else "its tokenizer"

    def missing(self, folder: Path) -> list[Missing]:
        """Return what is lacking before it can judge here; a card would lie in `folder`."""
        judge = self.judge()
        found = missing([judge], folder)
        digest = judge.prompt_template_sha256
        if isinstance(digest, NotReported) and not isinstance(judge.template, FileTemplate):
            found.append(Missing("prompt_template_sha256", digest.not_reported))
        return found


@cache
def presets() -> dict[str, Preset]:
    """Return the presets by name, in the file's order."""
    data = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return {name: _preset(name, one) for name, one in data.items()}


def preset(name: str) -> Preset:
    """Return one preset; raises JudgeError where there is none of that name."""
    found = presets().get(name)
    if found is None:
        raise JudgeError(f"there is no preset {name!r}", fix=f"one of {', '.join(presets())}")
    return found


def _preset(name: str, data: dict[str, Any]) -> Preset:
    entry = dict(data["entry"])
    commit = cached_commit(str(entry["id"]))
    if commit is not None and "not_reported" in entry["revision"]:
        entry["revision"] = commit
    return Preset(
        name=name,
        about=data["about"],
        published=data["template"]["published"],
        digest=cast("Literal['seen', 'unseen']", data["template"]["digest"]),
        licence=data["licence"],
        citation=data["citation"],
        note=data.get("note", ""),
        entry=entry,
    )
