"""`safebench doctor`: what this machine can run, and how to get what it cannot."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

import click
from packaging.requirements import Requirement

import safebench
from safebench.cli import options
from safebench.cli.console import print_json, print_wrapped, printer
from safebench.errors import visible
from safebench.harness.catalogue import Entry, entries
from safebench.judges.interface import Missing
from safebench.judges.prompted.presets import presets
from safebench.judges.registry import KINDS

_EXTRAS = {
    "run": "fine-tune, generate and judge with models on this machine",
    "qlora": "fine-tune on quantized weights, and generate with them",
    "api": "generate and judge through servers that speak OpenAI's API",
    "inspect": "read logs of Inspect in its own .eval format",
    "sigstore": "sign by an identity instead of a key",
    "plots": "draw with matplotlib",
    "ray": "spread a run over a cluster with Ray",
}
"""What each extra is for; extras that this version does not have are skipped."""
_KEYS = {
    "HF_TOKEN": "for gated data sets and models of the Hub",
    "OPENAI_API_KEY": "for models and judges behind OpenAI's API",
    "OPENAI_BASE_URL": "the address of another server that speaks it, for judges",
    "PERSPECTIVE_API_KEY": "for judges of kind moderation_api",
    "SAFEBENCH_KEY_PASSPHRASE": "for an encrypted key to sign with",
}
_GIB = 1024**3


class Item(NamedTuple):
    """One thing that was looked at."""

    name: str
    state: str
    """What was found, in words; no value of a key."""
    is_ready: bool
    remedies: tuple[str, ...] = ()
    """How to get it, by a command where there is one."""


@click.command(name="doctor")
@click.option(
    "--hub",
    is_flag=True,
    help="Also ask the Hub whether it can be reached, who is signed in, and which gated data sets "
    "are open to them. Without it, nothing uses the network.",
)
@options.output_format
def command(hub: bool, style: str) -> None:
    """Say what this machine can run: libraries, devices, keys, judges and tasks.

    For each thing that is missing, the output says how to get it. Keys are never shown, only
    whether they are set. Files of judges are looked for in the current folder.
    """
    found = {name: list(items) for name, items in _sections(hub)}
    if style == "json":
        print_json({name: [one._asdict() for one in items] for name, items in found.items()})
        return
    console = printer()
    console.print(
        f"safebench {safebench.__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}"
    )
    for name, items in found.items():
        click.echo("")
        click.secho(name, bold=True)
        width = max(len(one.name) for one in items) + 2
        for one in items:
            mark = " " if one.is_ready else "-"
            print_wrapped(console, f"{mark} {one.name}", visible(one.state), width + 2)
            for remedy in one.remedies:
                print_wrapped(console, "", f"get it: {visible(remedy)}", width + 2)
    click.echo("\nNext: safebench demo · safebench new DIR --model MODEL --data FILE")


def _sections(hub: bool) -> Iterator[tuple[str, Iterator[Item]]]:
    yield "libraries", _libraries()
    yield "devices", _devices()
    yield "hub", _hub(hub)
    yield "keys", _keys()
    yield "judges", _judges()
    yield "tasks", map(_task, entries())


def _libraries() -> Iterator[Item]:
    """Yield each extra: the versions that are installed, or what is missing or too old."""
    try:
        listed = [Requirement(line) for line in requires("safebench") or ()]
    except PackageNotFoundError:  # run from a folder
        state = "not installed, so that nothing says what its extras need"
        yield Item("safebench", state, False, ("pip install --editable .",))
        return
    for extra, purpose in _EXTRAS.items():
        needed = [one for one in listed if one.marker and one.marker.evaluate({"extra": extra})]
        if not needed:
            continue
        found = {one.name: _installed(one.name) for one in needed}
        wrong = [
            f"{one.name} {found[one.name] or 'is not installed'}"
            + (f", needs {one.specifier}" if found[one.name] else "")
            for one in needed
            if found[one.name] is None or not one.specifier.contains(found[one.name] or "", True)
        ]
        versions = ", ".join(f"{name} {found[name]}" for name in sorted(found))
        state = f"{purpose}: {'; '.join(wrong) or versions}"
        install = (f"pip install 'safebench[{extra}]'",) if wrong else ()
        yield Item(extra, state, not wrong, install)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _devices() -> Iterator[Item]:
    known = getattr(os, "sysconf_names", {})  # neither on Windows, and only the first on macOS
    memory = "".join(
        f", {_gib(os.sysconf(name) * os.sysconf('SC_PAGE_SIZE'))} of memory{what}"
        for name, what in (("SC_PHYS_PAGES", ""), ("SC_AVPHYS_PAGES", " free"))
        if name in known
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Item("cpu", f"{cores} cores{memory}", True)
    yield Item("disk", f"{_gib(shutil.disk_usage(Path.cwd()).free)} free in this folder", True)
    try:
        import torch
    except ImportError:
        yield Item("accelerator", "not known without torch", False)
        return
    except OSError as problem:  # a build for another processor or driver
        yield Item("accelerator", f"torch cannot be loaded: {problem}", False)
        return
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        free, total = torch.cuda.mem_get_info(number)
        kind = "bfloat16" if torch.cuda.is_bf16_supported() else "no bfloat16"
        text = f"{about.name}, {_gib(total)} of memory, {_gib(free)} free, {kind}"
        yield Item(f"cuda:{number}", text, True)
    if torch.backends.mps.is_available():
        yield Item("mps", "an Apple GPU, which shares the memory", True)
    elif not torch.cuda.is_available():
        yield Item(
            "accelerator", f"none seen by torch {torch.__version__}: models run on the CPU", True
        )


def _gib(size: float) -> str:
    return f"{round(size / _GIB)} GiB"


def _hub(asked: bool) -> Iterator[Item]:
    if not asked:
        yield Item("access", "not asked", True, ("safebench doctor --hub",))
        return
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError
    except ImportError:
        yield Item("access", "not known", False, ("pip install 'safebench[run]'",))
        return
    api = HfApi()
    try:
        try:
            yield Item("access", f"signed in as {api.whoami()['name']}", True)
        except LocalTokenNotFoundError:
            yield Item("access", "not signed in", False, ("hf auth login, or set HF_TOKEN",))
        for name in sorted({one.dataset_id for one in entries() if one.dataset_id and one.gated}):
            try:
                api.auth_check(name, repo_type="dataset")
                yield Item(name, "open to you", True)
            except HfHubHTTPError:
                yield Item(name, "not open to you", False, (_terms(name),))
    except Exception as problem:  # whatever the client's transport raises: it is what was asked
        yield Item("network", f"the Hub was not reached: {problem}", False)


def _terms(name: str) -> str:
    return f"accept the terms on https://huggingface.co/datasets/{name}, then set HF_TOKEN"


def _keys() -> Iterator[Item]:
    for name, purpose in _KEYS.items():
        is_set = bool(os.environ.get(name))
        yield Item(name, f"{'set' if is_set else 'not set'}: {purpose}", True)


def _judges() -> Iterator[Item]:
    """Yield each kind of judge, then each known prompted judge, with what it lacks."""
    for kind in KINDS.values():
        keys = [key for key in kind.keys if not os.environ.get(key)]
        lacking = [Missing("key", f"{key} is not set", f"set {key}") for key in keys]
        if kind.loads_weights and _installed("transformers") is None:
            lacking.append(Missing("packages", "transformers", "pip install 'safebench[run]'"))
        yield _judge(f"kind {kind.name}", kind.about, lacking)
    for name, one in presets().items():
        yield _judge(name, one.about, one.missing(Path.cwd()))


def _judge(name: str, about: str, lacking: list[Missing]) -> Item:
    what = ", ".join(f"no {thing}" for thing in dict.fromkeys(one.thing for one in lacking))
    remedies = tuple(dict.fromkeys(re.sub(r"\s+", " ", one.how) for one in lacking))
    return Item(name, f"{about}: {what}" if what else about, not lacking, remedies)


def _task(one: Entry) -> Item:
    if one.problem is not None:
        return Item(one.name, one.problem, False)
    if one.dataset_id is None or one.prompts_from == "local_copy":
        where = "in this package" if one.dataset_id is None else "from your local copy"
        return Item(one.name, f"{one.prompts} prompts {where}", True)
    remedies = []
    if _installed("datasets") is None:
        remedies.append("pip install 'safebench[run]'")
    if one.gated and not os.environ.get("HF_TOKEN"):
        remedies.append(_terms(one.dataset_id))
    if not remedies:
        return Item(one.name, f"{one.dataset_id}, loaded from the Hub by a run", True)
    if one.local_variable:
        remedies.append(f"or name a local copy in {one.local_variable}")
    gated = ", gated" if one.gated else ""
    return Item(one.name, f"{one.dataset_id} on the Hub{gated}", False, tuple(remedies))
