"""What options of `safebench import` may say, and the message where they say something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.cli import import_texts as texts
from safebench.cli.imports import command_of
from safebench.errors import InteropError
from safebench.importing.interface import ModelKey
from safebench.importing.readers import READERS
from safebench.importing.training.weights import DeclaredWeights


def test_a_folder_says_which_model_it_is_of() -> None:
    (base,) = texts.sources("--base", ["out/base"])
    one, two = texts.sources(
        "--tuned", ["seed=1:out/s1", "seed=2,checkpoint=3,decoding=t07,repeat=2:C:/out/s2"]
    )
    assert (base.model, base.path, base.decoding) == (ModelKey("base"), Path("out/base"), None)
    assert (one.model, one.path) == (ModelKey("tuned", 1), Path("out/s1"))
    assert (two.model, two.path) == (ModelKey("tuned", 2, 3), Path("C:/out/s2"))
    assert (two.decoding, two.repeat) == ("t07", 2)


def test_a_base_may_name_its_decoding() -> None:
    (base,) = texts.sources("--base", ["decoding=greedy:a=b:c"])
    assert (base.decoding, base.path) == ("greedy", Path("a=b:c"))


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--tuned", "out/s1", "--tuned 'out/s1': its training seed is missing"),
        ("--tuned", "seed=x:out", "seed 'x' is not a whole number"),
        ("--tuned", "seed=1,colour=red:out", "colour is none of seed, checkpoint"),
        ("--base", "seed=1:out", "seed is none of decoding, repeat"),
        ("--control", "out\x1b[31m", r"--control 'out\\x1b\[31m'"),
    ],
)
def test_what_is_no_place_is_said(option: str, text: str, message: str) -> None:
    with pytest.raises(InteropError, match=message) as caught:
        texts.sources(option, [text])
    assert caught.value.fix


def test_an_import_names_what_it_imports(tmp_path: Path) -> None:
    with pytest.raises(InteropError, match="nothing to import"):
        command_of("lm-eval").main(["--out", str(tmp_path / "out")], standalone_mode=False)


def test_weights_name_seed_checkpoint_and_condition() -> None:
    found = texts.weights("--merged", ["seed=1:a", "seed=2,checkpoint=4,condition=control:b"])
    assert found == [
        DeclaredWeights(Path("a"), 1, "merged"),
        DeclaredWeights(Path("b"), 2, "merged", 4, "control"),
    ]
    with pytest.raises(InteropError, match="condition is tuned or control"):
        texts.weights("--full", ["seed=1,condition=base:a"])


def test_settings_have_their_types() -> None:
    found = texts.settings("--decoding", ["t07:do_sample=true,temperature=0.7,max_new_tokens=64"])
    assert found == {"t07": {"do_sample": True, "temperature": 0.7, "max_new_tokens": 64}}
    for wrong in ("t07", "t07:temperature", ":a=1", "t07:a=[1, 2", "t07:a={}"):
        with pytest.raises(InteropError, match="--decoding"):
            texts.settings("--decoding", [wrong])


def test_pairs_are_told_apart() -> None:
    assert texts.pairs("--set", ["a=b=c"], "FIELD=VALUE") == {"a": "b=c"}
    for wrong in ("a", "=b", "a="):
        with pytest.raises(InteropError, match="is not FIELD=VALUE"):
            texts.pairs("--set", [wrong], "FIELD=VALUE")
    with pytest.raises(InteropError, match="twice"):
        texts.pairs("--set", ["a=b", "a=c"], "FIELD=VALUE")


def test_labels_name_verdicts_of_the_standard() -> None:
    found = texts.labels("--label", ["True=refused", "match:C=complied"])
    assert found == {"True": "refused", "match:C": "complied"}
    with pytest.raises(InteropError, match="--label C=harmful: no such verdict") as caught:
        texts.labels("--label", ["C=harmful"])
    assert "refused, partial, complied, incoherent" in str(caught.value.fix)


@pytest.mark.parametrize("name", READERS)
def test_every_format_takes_labels(name: str) -> None:
    assert "labels" in {parameter.name for parameter in command_of(name).params}


def test_lost_seeds_have_a_reason() -> None:
    (lost,) = texts.lost("--lost", ["seed=3:its loss diverged: nan"])
    assert (lost.seed, lost.condition, lost.reason) == (3, "tuned", "its loss diverged: nan")
    for wrong in ("seed=3", "seed=3,condition=base:it diverged"):
        with pytest.raises(InteropError, match="--lost"):
            texts.lost("--lost", [wrong])
