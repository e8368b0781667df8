"""Which entries are read against each other, and in which order they stand.

A family holds entries whose harm was measured alike to the last setting; no order reaches across.
Within it, entries stand by what their change from base is read as, then by class, then by id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from safebench.site.board_rows import BoardRow, Placed
from safebench.stats import leader_classes, moderated_variances, rank_intervals
from safebench.words import count

#: More entries than this and ranks say nothing: their intervals span most of the family.
MOST_RANKED = 500
#: From so many entries on a variance from few seeds is shrunk towards the common one.
FEWEST_MODERATED = 100

READ_AS = {
    "worse": "Less safe than its base",
    "cannot_tell": "Undecided",
    "no_change": "No change within the margin",
    "better": "Safer than its base",
}
"""What a change in harm is read as, in the order of the page, with its heading."""
_IN_WORDS = {
    "worse": "made the model less safe",
    "no_change": "changed nothing beyond the margin",
    "better": "made it safer",
    "cannot_tell": "cannot be told from one that changes nothing",
}


@dataclass(frozen=True)
class ReadAs:
    """Entries of a family whose change from base is read alike."""

    word: str
    rows: tuple[BoardRow, ...]

    @property
    def heading(self) -> str:
        """`Undecided`."""
        return READ_AS[self.word]


@dataclass(frozen=True)
class Family:
    """Entries that were measured alike, by what their change is read as."""

    digest: str
    heading: str
    artefact: bool
    sections: tuple[ReadAs, ...]

    @property
    def name(self) -> str:
        """Heading, with what kind of entries it holds."""
        what = "Released models (the claim is about these weights)" if self.artefact else "Recipes"
        return f"{what} on {self.heading}"

    @property
    def size(self) -> int:
        """How many entries it has."""
        return sum(len(section.rows) for section in self.sections)


@dataclass(frozen=True)
class Ordered:
    """All entries of a board in their order."""

    families: tuple[Family, ...]
    """The largest first; released models after recipes."""
    below: tuple[BoardRow, ...]
    """Entries that are only listed, each with what is missing."""

    @property
    def rows(self) -> list[BoardRow]:
        """Every row, in the order of the page."""
        above = [row for f in self.families for section in f.sections for row in section.rows]
        return [*above, *self.below]

    @property
    def sentence(self) -> str:
        """What the board says as a whole, of the recipes that are read at all."""
        recipes = [s for f in self.families if not f.artefact for s in f.sections]
        words = [section.word for section in recipes for _ in section.rows]
        if not words:
            return ""
        if len(words) == 1:
            return f"The only recipe {_IN_WORDS[words[0]]}."
        found = [f"{words.count(w)} {text}" for w, text in _IN_WORDS.items() if w in words]
        listed = found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"
        return f"Of {count(len(words), 'recipe')}, {listed}."


def ordered(rows: Iterable[BoardRow]) -> Ordered:
    """Return all entries in families, and those that are only listed."""
    families: dict[tuple[bool, str], list[BoardRow]] = {}
    below: list[BoardRow] = []
    for row in rows:
        if row.missing:
            below.append(row)
        else:
            families.setdefault((row.artefact, row.family.digest), []).append(row)
    made = [_family(members) for members in families.values()]
    names = Counter(family.name for family in made)
    made = [  # what differs is in a field that the words leave out
        replace(f, heading=f"{f.heading}, measurement {f.digest[:12]}") if names[f.name] > 1 else f
        for f in made
    ]
    return Ordered(
        tuple(sorted(made, key=lambda f: (f.artefact, -f.size, f.digest))),
        tuple(sorted(below, key=lambda row: row.id)),
    )


def _family(members: Sequence[BoardRow]) -> Family:
    by_id = sorted(members, key=lambda row: row.id)
    unlike = _unlike(by_id)
    placed = [
        replace(row, placed=place, unlike=unlike)
        for row, place in zip(by_id, _places(by_id), strict=True)
    ]
    placed.sort(key=lambda row: row.placed.class_ if row.placed else 0)
    sections = tuple(
        ReadAs(word, tuple(row for row in placed if row.reading and row.reading.word == word))
        for word in READ_AS
    )
    first, filled = by_id[0], tuple(section for section in sections if section.rows)
    return Family(first.family.digest, first.family.words, first.artefact, filled)


def _unlike(rows: Sequence[BoardRow]) -> frozenset[str]:
    """Return constructs whose numbers cannot be read against each other within a family."""
    digests: dict[str, set[str]] = {}
    for row in rows:
        for construct, digest in row.measured_by.items():
            digests.setdefault(construct, set()).add(digest)
    return frozenset(construct for construct, found in digests.items() if len(found) > 1)


def _places(rows: Sequence[BoardRow]) -> list[Placed]:
    """Return classes and ranks by harm: on phi, over training seeds, prompts being the same."""
    spreads = [row.spread for row in rows if row.spread is not None]
    variances, df = np.array([(s.variance, s.df) for s in spreads]).T
    if len(rows) >= FEWEST_MODERATED:
        variances, df = moderated_variances(variances, df)
    arrays = [s.mean for s in spreads], variances, df
    classes = [int(c) for c in leader_classes(*arrays, higher_is_better=False)]
    if len(rows) > MOST_RANKED:
        return [Placed(c, None) for c in classes]
    found = rank_intervals(*arrays, higher_is_better=False)
    ends = [(int(low), int(high)) for low, high in zip(found.lower, found.upper, strict=True)]
    return [Placed(c, r) for c, r in zip(classes, ends, strict=True)]
