"""`safebench doctor`: what is said of this machine, and that no secret is."""

from __future__ import annotations

import json
import tomllib
from importlib.metadata import PackageNotFoundError

import pytest

from safebench.cli import doctor
from tests.command import safebench
from tests.conftest import ROOT

Capture = pytest.CaptureFixture[str]


def test_what_lacks_comes_with_what_gets_it_and_a_key_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.delenv("PERSPECTIVE_API_KEY", raising=False)
    absent = {"peft": None, "datasets": None, "transformers": "4.9"}
    installed = doctor._installed
    monkeypatch.setattr(
        doctor, "_installed", lambda name: absent[name] if name in absent else installed(name)
    )
    ran = safebench(capsys, "doctor", "--json")
    assert ran.code == 0 and "sk-secret" not in ran.out
    found = {
        section: {one["name"]: one for one in items}
        for section, items in json.loads(ran.out).items()
    }
    run = found["libraries"]["run"]
    assert "peft is not installed" in run["state"] and "transformers 4.9, needs" in run["state"]
    assert run["remedies"] == ["pip install 'safebench[run]'"]
    assert found["hub"]["access"]["state"] == "not asked"
    assert "set" in found["keys"]["OPENAI_API_KEY"]["state"]
    assert found["judges"]["kind moderation_api"]["remedies"] == ["set PERSPECTIVE_API_KEY"]
    assert found["judges"]["kind rule"]["is_ready"] and found["tasks"]["safebench_harm"]["is_ready"]
    assert "pip install 'safebench[run]'" in found["tasks"]["safebench_xstest"]["remedies"]
    lacking = [one for items in found.values() for one in items.values() if not one["is_ready"]]
    assert all(one["remedies"] for one in lacking)
    text = safebench(capsys, "doctor").out
    assert "sk-secret" not in text
    assert all(f"- {one['name']}" in text for one in lacking)


def test_a_hub_that_is_not_reached_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfApi

    def unreached(*_: object, **__: object) -> None:
        raise ConnectionError("no route to the host")

    monkeypatch.setattr(HfApi, "whoami", unreached)
    (one,) = doctor._hub(asked=True)
    assert not one.is_ready and "no route to the host" in one.state


def test_every_extra_is_looked_at() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) - {"dev"} <= set(doctor._EXTRAS)


def test_a_folder_that_is_not_installed_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def requires(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", requires)
    ran = safebench(capsys, "doctor", "--json")
    assert ran.code == 0
    [only] = json.loads(ran.out)["libraries"]
    assert not only["is_ready"] and only["remedies"] == ["pip install --editable ."]
