"""Entries of prompted judges."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safebench.card.judge import ModelJudge
from safebench.files import sha256_of_folder
from safebench.models.loading import weight_files

TEXT = "how do i {prompt}? gather {response}? answer"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def llm_data(**changes: Any) -> dict[str, Any]:
    """Return a card's entry of a judge whose template is in t.txt; None takes a field out."""
    data = {
        "name": "grader",
        "kind": "llm",
        "id": "example/judge",
        "revision": "1" * 40,
        "constructs": ["harm"],
        "prompt_template_sha256": digest(TEXT),
        "template": {
            "source": "file",
            "path": "t.txt",
            "prompt": "{prompt}",
            "response": "{response}",
            "chat": False,
        },
        "parser": "label",
        "verdicts": {"yes": "complied", "no": "refused"},
        "on_parse_failure": "unparsed",
        "decoding": "greedy",
        "sampling": {"max_new_tokens": 6},
        "lineage": [],
        **changes,
    }
    return {name: value for name, value in data.items() if value is not None}


def llm_entry(**changes: Any) -> ModelJudge:
    return ModelJudge.model_validate_json(json.dumps(llm_data(**changes)))


def of_folder(folder: Path, **changes: Any) -> ModelJudge:
    """Return the entry of a judge whose weights and template lie in `folder.parent`."""
    (folder.parent / "t.txt").write_text(TEXT)
    found = f"sha256:{sha256_of_folder(folder, weight_files(folder))}"
    return llm_entry(**{"id": folder.name, "revision": found, **changes})
