"""What the reader and the models find: the part that the JSON Schema covers too, and versions."""

from __future__ import annotations

from safebench.checks.findings import Severity
from safebench.checks.registry import Rule, Rules

UNREADABLE = "SB-READ-001"

_FOUND_ON_READING: dict[str, tuple[str, str, str]] = {
    UNREADABLE: (
        "A card is one YAML 1.2 or JSON document in UTF-8 that every reader reads alike.",
        "Aliases, tags and deep nesting make a document do something other than what it says.",
        "The file cannot be opened, is no regular file, or is no document as "
        "[card.md](card.md#document) has it: not UTF-8 (a byte order mark passes), not YAML "
        "1.2, empty of documents or with several, above a bound, with an anchor, an alias, a "
        "tag outside the core schema, or a list or mapping as a key. Nothing else is then "
        "reported. Points to the empty pointer.",
    ),
    "SB-CARD-001": (
        "Every required field is present.",
        "Names and kinds decide how the rest is read, so nothing can stand in for them.",
        "A field that its table says MUST of, without †, is left out, unless it follows from "
        "others ([short plans](card.md#short-plans)); or "
        "the field is that decides the others (`method`, `kind`, `source`), and the rest of "
        "that mapping is then not looked at. Points to the field.",
    ),
    "SB-CARD-002": (
        "Every field is known to the standard.",
        "A misspelt field is a missing field that nobody notices.",
        "A mapping has a key that its table lacks, in a card of this minor version or an "
        "older one. Points to the key.",
    ),
    "SB-CARD-003": (
        "Every value has the type of its field.",
        "Readers in other languages do not guess what a quoted number meant.",
        "A value is of another type than its field, or, of several alternatives, of none: a "
        "text where a number stands, a number with a fraction where a whole one does, null "
        "where the table has no null and the field is required or has a default, anything "
        "but a text where words are fixed. Points to the value.",
    ),
    "SB-CARD-004": (
        "Every value is one that its field permits.",
        "Bounds and fixed words catch typing errors, and percentages given as proportions.",
        "A value has the type of its field, and is out of bounds, no word of its list, or "
        "not of its pattern or length. Points to the value; to the deciding field (`kind`) "
        "where its word decides the others. Or a mapping has `not_reported` and another key "
        "beside it, whatever else is wrong there: points to the mapping.",
    ),
    "SB-CARD-005": (
        "A key occurs once in its mapping.",
        "Some readers keep the first value and some the last: they would see two different cards.",
        "A key of a mapping equals an earlier one as a text, quoted or not, tagged `!!str` "
        "or not. The first counts, and what stands below the later one is not looked at. "
        "Points to the later key.",
    ),
    "SB-CARD-006": (
        "Every number is finite.",
        "NaN and infinity are what failed computations leave behind, and JSON has neither.",
        "A plain scalar is `.inf`, `-.inf` or `.nan` in a spelling of the core schema, or a "
        "number that no finite double holds or that has more than 1,000 digits. Points to it.",
    ),
    "SB-CARD-007": (
        "`spec` names a version of this standard.",
        "The version decides how everything else is read.",
        "`spec` is left out, or is not `safebench/MAJOR.MINOR` with two whole numbers of one "
        "to six digits, without leading zeros. Nothing that fields say is then checked, "
        "completeness is not counted, and the level is `incomplete`. Points to `/spec`.",
    ),
    "SB-CARD-008": (
        "The major version is one that this reader knows.",
        "Another major version may use the same words with other meanings.",
        "`spec` names another major version, from which the reader has no migration. "
        "Otherwise as SB-CARD-007. Points to `/spec`.",
    ),
    "SB-CARD-009": (
        "The minor version, and with it every field and word, is known to this reader.",
        "A newer minor version only adds; what it added is not checked.",
        "`spec` names a newer minor version: points to `/spec`. A field or word of such a "
        "card is not known: points to it "
        "([versioning.md](../versioning.md#a-newer-minor-version)).",
    ),
    "SB-CARD-010": (
        "Every mandatory field is present.",
        "What is not reported cannot be reproduced; a reason for its absence is an answer too.",
        "A field that its table says MUST† of is left out, in a card without `unstated`, and has "
        "no value from [short plans](card.md#short-plans). Points to it. It counts as "
        "`not_reported` everywhere else, and keeps the level at `incomplete`; an error where a "
        "level above the card's own is asked for.",
    ),
    "SB-CARD-011": (
        "The card has the level that was requested.",
        "`--level` is a gate: the card passes, or the output says what is missing.",
        "A level above the card's own is asked for. Points to every mandatory field that is "
        "absent, at the place where its absence is stated or begins (a section that is "
        "`not_reported`), unless SB-CARD-010 points to it, or the absence stands for a value "
        "that breaks the structure. Where the report then has no error, one finding with the "
        "empty pointer.",
    ),
}
_SEVERITIES: dict[str, Severity] = {"SB-CARD-009": "warning", "SB-CARD-010": "note"}

rules = Rules("card.md#document")
for _id, _words in _FOUND_ON_READING.items():
    _title, _why, _condition = _words
    _severity = _SEVERITIES.get(_id, "error")
    rules.append(Rule(_id, _severity, rules.section, _title, _why, condition=_condition))
