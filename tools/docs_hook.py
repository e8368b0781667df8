"""What `make docs` adds to mkdocs: pages stay where they are read, in docs/, spec/ and elsewhere.

Every page keeps its place in the repository, so that links between pages are the same there and on
the site, and nothing is copied. What else a page links to is put beside it; a folder has no page,
and is named instead of linked. The reference is made from the command line and from docstrings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "spec/*.md", "spec/v1/*.md"),
    *("leaderboard/README.md", "safebench/demo/README.md", "benchmarks/*.md", "tasks/*/README.md"),
)
_LINK = re.compile(r"(!?)\[((?:[^][]|\[[^][]*\])*)\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)]*)?\)")
_PYTHON = """# Python

::: safebench
    options: {{show_root_heading: false, members: false}}

## Reading a submission

{reading}

## Statistics

Functions of arrays, which the card's numbers come from; formulas and worked examples are in
[intervals](../spec/v1/intervals.md), [stability](../spec/v1/stability.md) and
[verdict](../spec/v1/verdict.md).

{stats}
"""


def on_files(files: Files, config: Any) -> Files:
    """Replace the files of docs/ by the pages of the whole repository, at their places."""
    import safebench
    from safebench import stats
    from safebench.cli.main import cli

    site, directory = config.site_dir, config.use_directory_urls
    found = [str(p.relative_to(ROOT)) for pattern in PAGES for p in sorted(ROOT.glob(pattern))]
    pages = [File(name, str(ROOT), site, directory) for name in found]
    theme = [one for one in files if one.src_dir != config.docs_dir]
    named = {
        "reading": [f"safebench.{name}" for name in safebench.__all__ if not name.startswith("_")],
        "stats": [f"safebench.stats.{name}" for name in stats.__all__],
    }
    text = {key: "\n\n".join(f"::: {name}" for name in names) for key, names in named.items()}
    context = click.Context(cli, info_name="safebench", **cli.context_settings)
    commands = "\n".join(["# Commands", *_helps(cli, context)])
    made = {"commands": commands, "python": _PYTHON.format(**text)}
    pages += [File.generated(config, f"reference/{name}.md", content=made[name]) for name in made]
    return Files([*pages, *theme])


def _helps(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield what --help prints of a command, under its name, and of the commands in it."""
    yield f"\n## {context.command_path}\n\n```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _helps(inner, click.Context(inner, context, name))


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Refuse a page that would fetch anything from elsewhere."""
    foreign = re.search(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"?(?:https?:)?//", output)
    if foreign:
        raise PluginError(f"{page.file.src_uri}: {foreign[0]} ... is fetched from elsewhere")
    return output


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Put files that a page links to beside it, and name folders; what is absent stays an error."""

    def link(found: re.Match[str]) -> str:
        picture, text, target, _ = found.groups()
        path = (ROOT / page.file.src_uri).parent.joinpath(target).resolve()
        if not path.is_relative_to(ROOT) or not path.exists():
            return found[0]
        name = path.relative_to(ROOT).as_posix()
        if path.is_dir():
            shown = f"`{name}/`"
            return found[0] if picture else shown if text in name else f"{text} ({shown})"
        if files.get_file_from_path(name) is None:
            files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
        return found[0]

    return _LINK.sub(link, markdown)
