"""Takes the README's picture of the board in leaderboard/: `make screenshot`.

Needs Chromium beside playwright; CHROMIUM names another program than `chromium`.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from safebench.site.publish import build

BOARD = Path(__file__).parents[1] / "leaderboard"
WIDTH, HEIGHT, ROWS = 1280, 1200, 4


def main() -> int:
    """Build a copy of the board, look at its first page, and write leaderboard/board.png."""
    program = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    if program is None:
        raise SystemExit("no chromium: install it, or name it with CHROMIUM")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as play:
        source = Path(place) / "board"
        shutil.copytree(BOARD, source)  # a build adds to the log
        index = build(source, Path(place) / "site").index
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", device_scale_factor=1
        )
        page.goto(index.as_uri())
        end = "n => document.querySelectorAll('#board tr.row')[n].getBoundingClientRect().bottom"
        height = page.evaluate(end, ROWS - 1)
        page.screenshot(
            path=BOARD / "board.png", clip={"x": 0, "y": 0, "width": WIDTH, "height": height}
        )
        browser.close()
    sys.stdout.write(f"{BOARD / 'board.png'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
