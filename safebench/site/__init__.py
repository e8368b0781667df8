"""The leaderboard site: plain files from a folder of submissions."""

from __future__ import annotations

from safebench.site.publish import Built, LeftOutError, build

__all__ = ["Built", "LeftOutError", "build"]
