"""Judges that safety papers name, as entries of a card: read from presets.yaml."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from safebench.card.judge import DistributionTemplate, FileTemplate, ModelJudge
from safebench.errors import JudgeError
from safebench.judges.interface import Missing
from safebench.judges.pinned import cached_commit
from safebench.judges.registry import missing

_FILE: Final = Path(__file__).with_name("presets.yaml")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One judge, with what a reader has to know of it."""

    name: str
    about: str
    published: str
    """Where the template's text is."""
    digest: Literal["verified", "unverified"]
    """Whether the entry's digest was taken from what `published` names."""
    licence: dict[str, str]
    """Of the weights and of the text."""
    citation: str
    note: str = ""
    entry: dict[str, Any]
    """The entry of a card, without what a user has to give."""

    def filled(self, folder: Path) -> dict[str, Any]:
        """Return the entry with the commit and the digest of what is on this machine.

        A file is looked for in `folder`.
        """
        entry = {"name": self.name, **self.entry}
        weights = cached_commit(str(entry["id"]))
        if weights is not None and "not_reported" in entry["revision"]:
            entry["revision"] = weights.name
        if self.digest == "unverified":
            text = _text(entry["template"], folder, weights)
            if text is not None:
                entry["prompt_template_sha256"] = hashlib.sha256(text.encode()).hexdigest()
        return entry

    def judge(self, folder: Path = Path()) -> ModelJudge:
        """Return the entry as a card in `folder` would have it."""
        return ModelJudge.model_validate_json(json.dumps(self.filled(folder)))

    def source(self) -> str:
        """Return where the template comes from, in a word or two."""
        template = self.judge().template
        if isinstance(template, DistributionTemplate):
            return f"{template.distribution} {template.version}"
        return "a file" if isinstance(template, FileTemplate) else "its tokenizer"

    def missing(self, folder: Path) -> list[Missing]:
        """Return what is lacking before it can judge here; a card would lie in `folder`."""
        return missing([self.judge(folder)], folder)


@cache
def presets() -> dict[str, Preset]:
    """Return the presets by name, in the file's order."""
    data = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return {name: Preset(name=name, **one) for name, one in data.items()}


def preset(name: str) -> Preset:
    """Return one preset; raises JudgeError where there is none of that name."""
    found = presets().get(name)
    if found is None:
        raise JudgeError(f"there is no preset {name!r}", fix=f"one of {', '.join(presets())}")
    return found


def _text(template: dict[str, Any], folder: Path, weights: Path | None) -> str | None:
    """Return the text of a file's template, or of a tokenizer's, that is on this machine."""
    try:
        if template["source"] == "file":
            return Path(folder, str(template["path"])).read_bytes().decode()
        if weights is None:
            return None
        if (alone := weights / "chat_template.jinja").is_file():
            return alone.read_bytes().decode()
        found: Any = json.loads((weights / "tokenizer_config.json").read_bytes())
        text: object = found.get("chat_template")
    except (OSError, ValueError, AttributeError):
        return None
    return text if isinstance(text, str) else None
