"""What building a board takes, and what its pages take in a browser, at 10,000 entries.

    python benchmarks/site.py FOLDER [VERIFIED] [ENTRIES]

FOLDER keeps the synthetic submissions, so that a run that was stopped goes on. VERIFIED of them are
made, checked and built, and built again with one changed card; their rows are then repeated, with
other ids and titles, until the board has ENTRIES, whose pages are opened in Chromium, from files
and from a server below a sub-path, as fast as the machine is and four times slower.
"""

from __future__ import annotations

import functools
import gzip
import http.server
import json
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from boards import make_board
from timing import machine

from safebench.evidence.board_log import LogLine
from safebench.site import build
from safebench.site.board import Board
from safebench.site.board_rows import BoardRow
from safebench.site.extras import Whole
from safebench.site.families import ordered
from safebench.site.pages import Pages
from safebench.site.publish import write_board
from safebench.site.sources import places, read_place
from safebench.site.writing import Writer

VERIFIED, ENTRIES, ROUNDS, CHECKED = 1000, 10_000, 3, 20
_WORKERS = 2
_BUILD = """
import json, resource, sys
from pathlib import Path
from safebench.evidence.board_log import LogLine
from safebench.site import build
if __name__ == "__main__":
    root = Path(sys.argv[1])
    built = build(root / "board", root / "site", workers=int(sys.argv[2]), cache=root / "cache")
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(u.ru_utime + u.ru_stime for u in used)
    peaks = [u.ru_maxrss / 1024 for u in used]
    print(json.dumps([seconds, *peaks, built.recalled, len(built.left_out)]))
"""


def main() -> None:
    """Print the time and memory of building, then sizes and times of the pages."""
    root = Path(sys.argv[1])
    verified, entries = (
        int(sys.argv[n]) if len(sys.argv) > n else default
        for n, default in ((2, VERIFIED), (3, ENTRIES))
    )
    print(machine())
    make_board(root / "board", verified, _WORKERS)
    _building(root, verified)
    site = root / "large" / "sub" / "path"
    _enlarged(root, site, entries)
    _sizes(site)
    _in_browser(site)


def _building(root: Path, verified: int) -> None:
    folders = places(root / "board")
    start = time.process_time()
    for folder in folders[:CHECKED]:
        assert read_place(folder).entry is not None
    check = (time.process_time() - start) / CHECKED
    print(f"\nchecking alone: {1000 * check:.0f} ms of CPU a submission")
    for folder in (root / "site", root / "cache"):
        shutil.rmtree(folder, ignore_errors=True)
    card = folders[0] / "card.yaml"
    whole = _built(root, f"building {verified:,}, {_WORKERS} processes")
    each = whole / verified
    print(f"  {1000 * each:.0f} ms of CPU a submission, {each / check:.1f} times as much")
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace("learning rate", "learning  rate", 1), encoding="utf-8")
    again = _built(root, "one card changed")
    card.write_text(text, encoding="utf-8")
    print(f"  {100 * again / whole:.1f} % of the whole")


def _built(root: Path, what: str) -> float:
    ran = subprocess.run(
        [sys.executable, "-c", _BUILD, root, str(_WORKERS)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds, own, workers, recalled, left_out = json.loads(ran.stdout)
    print(
        f"{what}: {seconds:.1f} s of CPU, peak {own:.0f} MiB, of another process "
        f"{workers:.0f} MiB; "
        f"{recalled:,} unchanged, {left_out} left out"
    )
    return float(seconds)


def _enlarged(root: Path, site: Path, entries: int) -> None:
    """Write what is about all entries together, of so many."""
    rows = build(root / "board", root / "again", cache=root / "cache").entries.rows
    rng = np.random.default_rng(0)
    many = [_other(rows[n % len(rows)], n, rng) for n in range(entries)]
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    start = time.process_time()
    log = [
        LogLine(kind="submission", id=row.id, content=f"{n:064x}", key=None, previous="0" * 64)
        for n, row in enumerate(many)
    ]
    write_board(Writer(site), Pages(Board()), Whole(ordered(many), (), log), None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    took = time.process_time() - start
    print(f"\npages and data of {entries:,}: {took:.1f} s of CPU, peak {peak:.0f} MiB")


def _other(row: BoardRow, number: int, rng: np.random.Generator) -> BoardRow:
    """Return a row with another id and title and a control, its numbers shifted, each by a draw."""
    shifted = {}
    for name in ("harm", "harm_base", "change", "over_refusal", "capability"):
        score, by = getattr(row, name), float(rng.uniform(-0.2, 0.2))
        least = -1.0 if name == "change" else 0.0
        ends = {n: getattr(score, n) + by for n in ("estimate", "lower", "upper")}
        kept = {n: min(max(value, least), 1.0) for n, value in ends.items()}
        shifted[name] = score.model_copy(update=kept)
    title = f"{row.title} ({number:,})"
    control = shifted["harm_base"].model_copy(update={"condition": "control"})
    more = {"title": title, "placed": None, "control": control}
    return replace(row, id=f"{row.id}-{number:05d}", **more, **shifted)


def _sizes(site: Path) -> None:
    pages = sorted(site.glob("*.html"))
    kinds = {"of the board": ("index", "board"), "of the registry": ("registry",)}
    kinds["of other kinds"] = ("rules", "submit", "compare")
    for kind, names in kinds.items():
        sizes = [path.stat().st_size for path in pages if path.stem.partition("-")[0] in names]
        print(f"{len(sizes):,} pages {kind}, the largest {max(sizes) / 1000:.1f} kB (budget 60)")
    scripts = sum((site / f"static/{name}.js").stat().st_size for name in ("board", "rows"))
    print(f"scripts {scripts / 1000:.1f} kB (budget 30)")
    for path in sorted((site / "data/v2").glob("*.js")):
        size = len(gzip.compress(path.read_bytes()))
        budget = " (budget 150)" if path.name == "core.js" else ""
        print(f"{path.name}: {path.stat().st_size / 1000:,.0f} kB, {size / 1000:.0f} kB gz{budget}")


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def _addresses(site: Path) -> Iterator[dict[str, str]]:
    handler = functools.partial(_Silent, directory=str(site.parent.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield {"file": site.as_uri(), "http": f"http://127.0.0.1:{server.server_port}/sub/path"}
        server.shutdown()
        thread.join()


_TO_FRAME = """async () => {
  const start = performance.now();
  ACT;
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - start;
}"""
_ACTS = {
    "sort by harm": "document.querySelector('th[data-key=harm] button').click()",
    "sort by recipe": "document.querySelector('th[data-key=title] button').click()",
    "filter": "const f=document.getElementById('filter');f.value='qwen lora';"
    "f.dispatchEvent(new Event('input'))",
    "clear": "const f=document.getElementById('filter');f.value='';"
    "f.dispatchEvent(new Event('input'))",
}


def _in_browser(site: Path) -> None:
    from playwright import sync_api as api

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with api.sync_playwright() as running, _addresses(site) as addresses:
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for kind, address in addresses.items():
            for slowdown in (1, 4):
                rounds = [_round(browser, address, slowdown) for _ in range(ROUNDS)]
                shown = {n: statistics.median(r[n] for r in rounds) for n in rounds[0]}
                elements = shown.pop("elements")
                words = ", ".join(f"{name} {took:.0f} ms" for name, took in shown.items())
                print(f"{kind}, {slowdown}x slower: {elements:.0f} elements; {words}")
        browser.close()


def _round(browser: Any, address: str, slowdown: int) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    page.goto(f"{address}/index.html")
    found = {
        "elements": page.evaluate("document.querySelectorAll('*').length"),
        "first paint": page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
        ),
    }
    ready = (
        "() => window.safebench && window.safebench.rest.board && document.querySelector('select')"
    )
    page.wait_for_function(ready)
    page.wait_for_timeout(300 * slowdown)
    found |= {name: page.evaluate(_TO_FRAME.replace("ACT", act)) for name, act in _ACTS.items()}
    context.close()
    return found


if __name__ == "__main__":
    main()
