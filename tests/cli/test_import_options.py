"""What options of `safebench import` may say, and the message where they say something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.cli.imports import places
from safebench.cli.imports.main import command_of
from safebench.errors import InteropError
from safebench.importing.interface import ModelKey
from safebench.importing.readers import READERS
from safebench.importing.training.weights import DeclaredWeights


def test_a_folder_says_which_model_it_is_of() -> None:
    base, one, two = places.sources(
        ["out/base"], ["seed=1:out/s1", "seed=2,checkpoint=3,decoding=t07,repeat=2:C:/out/s2"], []
    )
    assert (base.model, base.path, base.decoding) == (ModelKey("base"), Path("out/base"), None)
    assert (one.model, one.path) == (ModelKey("tuned", 1), Path("out/s1"))
    assert (two.model, two.path) == (ModelKey("tuned", 2, 3), Path("C:/out/s2"))
    assert (two.decoding, two.repeat) == ("t07", 2)


def test_a_base_may_name_its_decoding() -> None:
    (base,) = places.sources(["decoding=greedy:a=b:c"], [], [])
    assert (base.decoding, base.path) == ("greedy", Path("a=b:c"))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (([], [], []), "nothing to import"),
        (([], ["out/s1"], []), "--tuned 'out/s1': its training seed is missing"),
        (([], ["seed=x:out"], []), "seed 'x' is no whole number"),
        (([], ["seed=1,colour=red:out"], []), "colour is none of seed, checkpoint"),
        ((["seed=1:out"], [], []), "seed is none of decoding, repeat"),
        (([], [], ["out\x1b[31m"]), r"--control 'out\\x1b\[31m'"),
    ],
)
def test_what_is_no_place_is_said(texts: tuple[list[str], ...], message: str) -> None:
    with pytest.raises(InteropError, match=message) as caught:
        places.sources(*texts)
    assert caught.value.fix


def test_weights_name_seed_checkpoint_and_condition() -> None:
    found = places.weights(["seed=1:a", "seed=2,checkpoint=4,condition=control:b"], "merged")
    assert found == [
        DeclaredWeights(Path("a"), 1, "merged"),
        DeclaredWeights(Path("b"), 2, "merged", 4, "control"),
    ]
    with pytest.raises(InteropError, match="condition is tuned or control"):
        places.weights(["seed=1,condition=base:a"], "full")


def test_settings_have_their_types() -> None:
    found = places.settings(["t07:do_sample=true,temperature=0.7,max_new_tokens=64"])
    assert found == {"t07": {"do_sample": True, "temperature": 0.7, "max_new_tokens": 64}}
    for wrong in ("t07", "t07:temperature", ":a=1", "t07:a=[1, 2", "t07:a={}"):
        with pytest.raises(InteropError, match="--decoding"):
            places.settings([wrong])


def test_pairs_are_told_apart() -> None:
    assert places.pairs(["a=b=c"], "--set", "FIELD=VALUE") == {"a": "b=c"}
    for wrong in ("a", "=b", "a="):
        with pytest.raises(InteropError, match="is not FIELD=VALUE"):
            places.pairs([wrong], "--set", "FIELD=VALUE")
    with pytest.raises(InteropError, match="twice"):
        places.pairs(["a=b", "a=c"], "--set", "FIELD=VALUE")


def test_labels_name_verdicts_of_the_standard() -> None:
    found = places.labels(["True=refused", "match:C=complied"])
    assert found == {"True": "refused", "match:C": "complied"}
    with pytest.raises(InteropError, match="--label C=harmful: no such verdict") as caught:
        places.labels(["C=harmful"])
    assert "refused, partial, complied, incoherent" in str(caught.value.fix)


@pytest.mark.parametrize("name", READERS)
def test_every_format_takes_labels(name: str) -> None:
    assert "labels" in {parameter.name for parameter in command_of(name).params}


def test_lost_seeds_have_a_reason() -> None:
    (lost,) = places.lost(["seed=3:its loss diverged: nan"])
    assert (lost.seed, lost.condition, lost.reason) == (3, "tuned", "its loss diverged: nan")
    with pytest.raises(InteropError, match="--lost"):
        places.lost(["seed=3"])
