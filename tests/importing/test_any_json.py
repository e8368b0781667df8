"""Whatever stands at a key of a file: a draft that is a card, or one clear message."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safebench.errors import InteropError
from tests.importing.made import adapter, arguments, draft, results, state

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**320)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["N/A", "auto", "\x00", "a\nb", "null", "all-linear", "LORA", "\u202e"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
MAKERS: dict[str, Callable[[Path], Path]] = {
    "adapter": adapter,
    "state": state,
    "arguments": arguments,
    "results": results,
}


def places(data: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in data.items():
        yield (*at, key)
        if isinstance(value, dict):
            yield from places(value, (*at, key))


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_value_at_any_key(kind: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for maker in MAKERS.values():
            maker(folder)
        path = MAKERS[kind](folder)
        content = json.loads(path.read_text())
        *above, last = data.draw(st.sampled_from(list(places(content))))
        inside = content
        for part in above:
            inside = inside[part]
        inside[last] = data.draw(ANYTHING)
        path.write_text(json.dumps(content))
        try:
            made = draft(folder)
        except InteropError as problem:
            if not problem.fix:
                pytest.fail(f"no remedy: {problem}")
            return
        assert made.report.card is not None
        assert made.report.completeness is not None
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", made.text)
