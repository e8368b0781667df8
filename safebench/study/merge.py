"""Merging the shards of one grid into the submission that a single run would write."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from pathlib import Path

from safebench.errors import RunError
from safebench.evidence.claim import Claim, same_study
from safebench.evidence.journal import Journal, as_line
from safebench.evidence.store import Store
from safebench.evidence.submission import Submission
from safebench.files import link_missing, replace_file
from safebench.progress import Progress
from safebench.study.engines import Settings
from safebench.study.execute import claim_of, execute, finished_earlier
from safebench.study.plan import make_plan
from safebench.study.runner import RunResult


def merge(shards: Sequence[Path], out: Path, progress: Progress) -> RunResult:
    """Make a submission of finished shards; they are left as they are.

    Raises:
        RunError: they are not the shards of one card, one is missing or unfinished, or they were
            made in different environments.
    """
    stores = [Store(folder) for folder in shards]
    for store in stores:
        if store.is_finished:
            raise RunError(
                f"{store.folder}: is a finished submission of a whole grid, not a shard",
                fix="give the folders of `safebench run --shard`, and --out apart from them",
            )
    claims = [store.claim() for store in stores]
    _check_whole(stores, claims)
    # Nothing is generated here, so the card may have the settings of any backend.
    plan = make_plan(Submission(claims[0].card, shards[0]), out, elsewhere=True)
    before = finished_earlier(plan, out)
    if before is not None:
        return before
    target = Store(out)
    with target.opened(claim_of(plan)):
        for store in stores:
            try:
                target.check_environment(store.environment())
            except RunError as problem:
                raise RunError(
                    f"{store.folder}: {str(problem).removeprefix(f'{out}: ')}",
                    fix="make all shards on machines with the same software and devices",
                ) from problem
            for name in ("responses", "judged", "seals"):
                link_missing(store.work / name, target.work / name)
            link_missing(store.folder / "adapters", out / "adapters")
            link_missing(store.folder / "data", out / "data")
        _join_journals(stores, target.journal)
    return execute(plan, out, Settings(), progress)


def _check_whole(stores: list[Store], claims: list[Claim]) -> None:
    first = claims[0]
    count = int(first.shard.partition("/")[2])
    lost = {run for store in stores for run in store.journal.lost()}
    for store, claim in zip(stores, claims, strict=True):
        both = f"{store.folder} is shard {claim.shard}, {stores[0].folder} is shard {first.shard}"
        if same_study(claim.card) != same_study(first.card):
            raise RunError(f"{both} of another card", fix="merge the shards of one card")
        if not claim.shard.endswith(f"/{count}"):
            raise RunError(
                f"{both}: the grid was cut in different ways",
                fix="merge the shards 1/n to n/n of one n",
            )
        missing = [
            name
            for name, size in claim.blocks.items()
            if not store.has(name) and (size.condition, size.training_seed) not in lost
        ]
        store.seals.begin(claim.card)
        missing += [path.name for path in store.seals.broken()]
        if missing:
            raise RunError(
                f"{store.folder}: shard {claim.shard} is not finished: "
                f"{len(missing)} of {len(claim.blocks)} blocks are missing or damaged, the first "
                f"{missing[0]}",
                fix="run the shard's command again, then merge",
            )
    numbers = [int(claim.shard.partition("/")[0]) for claim in claims]
    absent = sorted(set(range(1, count + 1)) - set(numbers))
    if absent:
        raise RunError(
            f"shard {', '.join(f'{i}/{count}' for i in absent)} is missing",
            fix="give the folders of all shards",
        )
    if len(numbers) > count:
        twice = next(i for i in numbers if numbers.count(i) > 1)
        raise RunError(f"shard {twice}/{count} is given twice", fix="give every shard once")


def _join_journals(stores: list[Store], target: Journal) -> None:
    """Write one journal of all shards' events, unless an earlier attempt wrote it.

    Events are ordered by time, but those of one shard keep their order: clocks differ.
    """
    before = target.read()
    if any(event["event"] == "merged" for event in before):
        return
    events = heapq.merge(
        *(store.journal.read() for store in stores), key=lambda event: str(event.get("time"))
    )
    lines = [json.dumps(e, ensure_ascii=False) + "\n" for e in [*events, *before]]
    lines.append(as_line("merged", shards=[str(store.folder) for store in stores]))
    replace_file(target.path, "".join(lines).encode())
