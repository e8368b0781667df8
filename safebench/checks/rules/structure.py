"""What the reader and the models find: the part that the JSON Schema covers too, and versions."""

from __future__ import annotations

from safebench.checks.findings import Severity
from safebench.checks.registry import Rule, Rules

UNREADABLE = "SB-READ-001"

_FOUND_ON_READING: dict[str, tuple[str, str]] = {
    UNREADABLE: (
        "A card is one YAML 1.2 or JSON document in UTF-8 that every reader reads alike.",
        "Aliases, tags and deep nesting make a document do something other than what it says.",
    ),
    "SB-CARD-001": (
        "Every required field is present.",
        "Names and kinds decide how the rest is read, so nothing can stand in for them.",
    ),
    "SB-CARD-002": (
        "Every field is known to the standard.",
        "A misspelt field is a missing field that nobody notices.",
    ),
    "SB-CARD-003": (
        "Every value has the type of its field.",
        "Readers in other languages do not guess what a quoted number meant.",
    ),
    "SB-CARD-004": (
        "Every value is one that its field permits.",
        "Bounds and fixed words catch typing errors, and percentages given as proportions.",
    ),
    "SB-CARD-005": (
        "A key occurs once in its mapping.",
        "Some readers keep the first value and some the last: they would see two different cards.",
    ),
    "SB-CARD-006": (
        "Every number is finite.",
        "NaN and infinity are what failed computations leave behind, and JSON has neither.",
    ),
    "SB-CARD-007": (
        "`spec` names a version of this standard.",
        "The version decides how everything else is read.",
    ),
    "SB-CARD-008": (
        "The major version is one that this reader knows.",
        "Another major version may use the same words with other meanings.",
    ),
    "SB-CARD-009": (
        "The minor version, and with it every field and word, is known to this reader.",
        "A newer minor version only adds; what it added is not checked.",
    ),
    "SB-CARD-010": (
        "Every mandatory field is present.",
        "What is not reported cannot be reproduced; a reason for its absence is an answer too.",
    ),
    "SB-CARD-011": (
        "The card has the level that was requested.",
        "`--level` is a gate: the card passes, or the output says what is missing.",
    ),
}
_SEVERITIES: dict[str, Severity] = {"SB-CARD-009": "warning", "SB-CARD-010": "note"}

rules = Rules("card.md#document")
for _id, _words in _FOUND_ON_READING.items():
    rules.append(Rule(_id, _SEVERITIES.get(_id, "error"), rules.section, *_words))
