"""Other libraries are silent for a while, and say what they said before afterwards."""

from __future__ import annotations

import logging
import warnings

import datasets
import lm_eval.api.task
import pytest
import transformers

from safebench.models.quiet import quiet

pytestmark = pytest.mark.slow


def state() -> tuple[object, ...]:
    return (
        [logging.getLogger(name).level for name in ("transformers", "bitsandbytes", "lm_eval")],
        transformers.logging.is_progress_bar_enabled(),
        datasets.is_progress_bar_enabled(),
        lm_eval.api.task.tqdm,
        warnings.showwarning,
    )


def test_a_library_says_nothing_but_errors(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = state()
    library = logging.getLogger("bitsandbytes.backends")
    with quiet():
        with quiet():
            library.warning("a kernel is not there")
        library.warning("it is still not there")
        library.error("the weights are damaged")
        assert list(lm_eval.api.task.tqdm([1], total=1)) == [1]
        assert not transformers.logging.is_progress_bar_enabled()
        warnings.simplefilter("always")
        warnings.warn("a name will change", FutureWarning, stacklevel=1)
    assert [record.message for record in caplog.records] == ["the weights are damaged"]
    assert capsys.readouterr().err == ""
    assert state() == before


def test_what_a_filter_makes_an_error_is_one() -> None:
    before = state()
    with pytest.raises(FutureWarning, match="something new"), quiet():
        warnings.warn("something new", FutureWarning, stacklevel=1)
    assert state() == before
