"""What the reader and the models find: the part that the JSON Schema covers too, and versions."""

from __future__ import annotations

from safebench.checks.findings import Severity
from safebench.checks.registry import Rule, add

UNREADABLE = "SB-READ-001"

_STRUCTURE: tuple[tuple[str, Severity, str, str], ...] = (
    (
        "SB-CARD-001",
        "error",
        "A field that may not be absent is there.",
        "Names and kinds decide how the rest is read, so there is nothing to fall back on.",
    ),
    (
        "SB-CARD-002",
        "error",
        "Every field is one that the standard knows.",
        "A misspelt field is a field left out, and nobody notices.",
    ),
    (
        "SB-CARD-003",
        "error",
        "A value has the type of its field.",
        "Readers in other languages do not guess what a quoted number meant.",
    ),
    (
        "SB-CARD-004",
        "error",
        "A value is one that its field permits.",
        "Bounds and fixed words catch percentages given for proportions, and typing errors.",
    ),
    (
        "SB-CARD-005",
        "error",
        "A key occurs once in its mapping.",
        "Some readers keep the first, some the last: two programs would see two cards.",
    ),
    (
        "SB-CARD-006",
        "error",
        "A number is finite.",
        "NaN and infinity are what failed computations leave behind, and JSON has neither.",
    ),
    (
        "SB-CARD-007",
        "error",
        "`spec` names a version of this standard.",
        "The version decides how everything else is read.",
    ),
    (
        "SB-CARD-008",
        "error",
        "The major version is one this reader knows.",
        "Another major version may use the same words for other things.",
    ),
    (
        "SB-CARD-009",
        "warning",
        "The minor version, and with it every field and word, is known to this reader.",
        "A newer minor version only adds; what it added is left unchecked here.",
    ),
    (
        "SB-CARD-010",
        "note",
        "A mandatory field is there.",
        "What was not reported cannot be reproduced; saying why it is absent is an answer too.",
    ),
    (
        "SB-CARD-011",
        "error",
        "The card has the level that was asked for.",
        "`--level` is a gate: it passes or it says what is missing.",
    ),
)

add(
    Rule(
        UNREADABLE,
        "error",
        "card.md#document",
        "A card is one YAML 1.2 or JSON document in UTF-8 that every reader reads alike.",
        "Aliases, tags and endless nesting are how a document does something else than say.",
    )
)
for _id, _severity, _title, _rationale in _STRUCTURE:
    add(Rule(_id, _severity, "card.md#document", _title, _rationale))
