"""Which files a drafted card was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from safebench.errors import visible
from safebench.importing.draft.gather import Gathered
from safebench.importing.facts import Absent, short_name


def read_files(gathered: Gathered) -> Iterator[str]:
    """Yield a line per kind of file, with the number of fields it helped to fill, then remarks."""
    names = Counter(short_name(file) for file in gathered.files)
    fields: dict[str, Counter[str]] = {name: Counter() for name in names}
    for place, one in gathered.filled.items():
        if isinstance(one.value, Absent):
            continue
        for name in {short_name(fact.file) for fact in one.facts if fact.file is not None}:
            if name in fields:
                fields[name][place[0]] += 1
    width = max((len(name) + len(f" ({names[name]})") for name in names), default=0)
    for name, count in names.items():
        counts = [f"{number} of {section}" for section, number in fields[name].most_common()]
        label = visible(name if count == 1 else f"{name} ({count})")
        helped = ", ".join(counts) or "none that other files do not fill"
        yield f"read {label:<{width}}  fields: {helped}"
    yield from (f"note: {visible(remark)}" for remark in gathered.remarks)
