"""Write the examples on either side of what each rule decides: examples/boundary/RULE/.

What is changed stands in boundaries.py (plans), boundary_folders.py (reports and submissions) and,
for documents that cannot be read at all, here. `make_examples.py` runs this.
"""

from __future__ import annotations

import copy
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.checks.forged import Forgery, make_true  # noqa: E402
from tests.conformance.boundaries import ASKED, DROP, PLANS, Edits, More  # noqa: E402
from tests.conformance.boundary_folders import (  # noqa: E402
    AFTERWARDS,
    FOLDERS,
    REPORTS,
    small_report,
)
from tests.conformance.edits import COMMIT  # noqa: E402
from tests.conformance.runner import ARGUMENTS, EXAMPLES, VALID  # noqa: E402

BOUNDARY = EXAMPLES / "boundary"
PROMPTS = 10
Data = dict[str, Any]
_PLAN = (VALID / "minimal-plan.yaml").read_text(encoding="utf-8")
PLAN_TEXT = _PLAN[_PLAN.index("spec:") :]
DEEP = 64

# documents as they are written
TEXTS: dict[str, bytes] = {
    "SB-READ-001/breaks-empty": b"",
    "SB-READ-001/breaks-a-comment-alone": b"# nothing\n",
    "SB-READ-001/breaks-latin-1": PLAN_TEXT.replace("Example Lab", "Büro").encode("latin-1"),
    "SB-READ-001/keeps-a-byte-order-mark": b"\xef\xbb\xbf" + PLAN_TEXT.encode(),
    "SB-READ-001/keeps-crlf": PLAN_TEXT.replace("\n", "\r\n").encode(),
    "SB-READ-001/breaks-two-documents": (PLAN_TEXT + "---\n" + PLAN_TEXT).encode(),
    "SB-READ-001/breaks-an-alias": PLAN_TEXT.replace(
        "{name: Example Lab,", "{name: &lab Example Lab, organisation: *lab,"
    ).encode(),
    "SB-READ-001/breaks-a-tag": PLAN_TEXT.replace("epochs: 2", "epochs: !!python/int 2").encode(),
    "SB-READ-001/breaks-not-yaml": PLAN_TEXT.replace("{r: 8,", "{r: 8,,").encode(),
    "SB-READ-001/breaks-a-tabulator": PLAN_TEXT.replace("  loss_on:", "\tloss_on:").encode(),
    "SB-READ-001/breaks-a-control-character": PLAN_TEXT.replace("tiny-chat safe", "\x07").encode(),
    "SB-READ-001/breaks-too-deep": PLAN_TEXT.replace(
        "  loss_on:", f"  extra: {{a: {'[' * DEEP}{']' * DEEP}}}\n  loss_on:"
    ).encode(),
    "SB-CARD-003/breaks-a-list-for-a-card": b"- spec: safebench/1.0\n",
    "SB-CARD-005/breaks-in-a-list": PLAN_TEXT.replace(
        "do_sample: false,", "do_sample: false, do_sample: false,"
    ).encode(),
    "SB-CARD-005/breaks-at-the-top": (PLAN_TEXT + "spec: safebench/1.0\n").encode(),
    "SB-CARD-006/breaks-infinity": PLAN_TEXT.replace("3e-3", ".inf").encode(),
    "SB-CARD-006/breaks-an-overflow": PLAN_TEXT.replace("3e-3", "1e999").encode(),
    "SB-CARD-003/keeps-a-number-of-yaml-1.2": PLAN_TEXT.replace("3e-3", "3E-3").encode(),
    "SB-CARD-003/breaks-yes-for-true": PLAN_TEXT.replace(
        "do_sample: true", "do_sample: yes"
    ).encode(),
    "SB-CARD-003/breaks-no-quotes": PLAN_TEXT.replace('revision: "1"', "revision: 1").encode(),
}


def edited(data: Data, edits: Edits) -> Data:
    """Return a card with something else at some paths; what is dropped goes last, from the end."""
    data = copy.deepcopy(data)
    for path, value in sorted(edits.items(), key=lambda item: item[1] is DROP):
        *names, last = path.split(".")
        holder: Any = data
        for name in names:
            holder = holder[int(name)] if isinstance(holder, list) else holder.setdefault(name, {})
        key: Any = int(last) if isinstance(holder, list) else last
        if value is DROP:
            if isinstance(holder, list) or key in holder:
                del holder[key]
        elif isinstance(value, More):
            holder[key] = [*holder[key], _plain(value.item)]
        else:
            holder[key] = value(holder[key]) if callable(value) else _plain(value)
    return data


def _plain(value: Any) -> Any:
    """Return a copy without what is dropped: the same item is never written as an alias."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not DROP}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def dumped(data: Data) -> str:
    """Return a card as text, whatever is wrong with it."""
    return yaml.dump(
        _plain(data),
        Dumper=yaml.SafeDumper,
        sort_keys=False,
        default_flow_style=None,
        width=120,
        allow_unicode=True,
    )


def write_boundaries() -> int:
    """Write every one anew, and return how many there are."""
    shutil.rmtree(BOUNDARY, ignore_errors=True)
    plan = yaml.safe_load(PLAN_TEXT.replace("3e-3", "0.003"))
    for name, edits in PLANS.items():
        _write(name, dumped(edited(plan, edits)).encode())
    for name, (level, edits) in ASKED.items():
        _write(f"{name}/card", dumped(edited(plan, edits)).encode())
        (BOUNDARY / name / ARGUMENTS).write_text(f"--level {level}\n", encoding="utf-8")
    for name, raw in TEXTS.items():
        _write(name, raw)
    with tempfile.TemporaryDirectory() as there:
        true = make_true(Path(there, "true"), limit=PROMPTS)
        report = small_report(true.card)
        for name, edits in REPORTS.items():
            _write(name, dumped(edited(report, edits)).encode())
        for name, change in FOLDERS.items():
            forged = _opened(true, BOUNDARY / name)
            change(forged)
            forged.write()
        for name, change in AFTERWARDS.items():
            forged = _opened(true, BOUNDARY / name)
            before = copy.deepcopy(forged.card)
            change(forged)
            if forged.card != before and name not in _WRITTEN:
                (forged.folder / "card.yaml").write_text(dumped(forged.card), encoding="utf-8")
    return sum(map(len, (PLANS, ASKED, TEXTS, REPORTS, FOLDERS, AFTERWARDS)))


_ONLY_FOR = {
    "responses": ("SB-EVI-022", "SB-EVI-023", "SB-EVI-024"),
    "journal": ("SB-EVI-027",),
    "adapters": ("SB-EVI-025", "SB-EVI-026"),
}
_WRITTEN = ("SB-EVI-009/breaks-a-row-left-out",)


def _opened(whole: Forgery, folder: Path) -> Forgery:
    """Return a copy to change, without the files that its rule does not look at."""
    rule = folder.parent.name
    asks = {"data", *(file for file, rules in _ONLY_FOR.items() if rule in rules)}
    folder.mkdir(parents=True)
    for name in asks:
        if (whole.folder / name).is_dir():
            shutil.copytree(whole.folder / name, folder / name)
    card = copy.deepcopy(whole.card)
    if "adapters" not in asks:
        for number, entry in enumerate(card["model"]["weights"]):
            entry |= {"id": f"example/household-{number}", "revision": COMMIT}
            del entry["path"]
    tables = [
        [dict(row) for row in rows] if name in asks else []
        for name, rows in (("responses", whole.responses), ("journal", whole.journal))
    ]
    opened = Forgery(folder, card, [dict(row) for row in whole.outcomes], *tables)
    opened.write()
    return opened


def _write(name: str, raw: bytes) -> None:
    # A document that does not say what it is is only found under the name of a card.
    is_named = b"\nspec: safebench/" in b"\n" + raw
    path = BOUNDARY / f"{name}.yaml" if is_named else BOUNDARY / name / "card.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


if __name__ == "__main__":
    sys.stdout.write(f"{write_boundaries()} examples in {BOUNDARY}\n")
