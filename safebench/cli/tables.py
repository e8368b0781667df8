"""Tables of formatted text, and how a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import table as rich_table
from rich.console import Console
from rich.padding import Padding
from rich.text import Text


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    title: str
    note: str = ""
    """Further lines below the title, where there is room for them."""
    is_number: bool = False
    """Whether cells are set at the right."""


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    cells: tuple[str, ...]
    kind: Literal["main", "detail", "minor"] = "main"
    """`detail` explains the row above and is left out in papers; `minor` matters little and is
    left out at a terminal."""


@dataclass(frozen=True)
class Table:
    """A table as every output shows it; the first column is text."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    name: str = ""
    """What a paper refers to it by."""
    caption: str = ""


def columns(*texts: str, numbers: Sequence[str] = ()) -> tuple[Column, ...]:
    """Return columns of text, then columns of numbers, by their titles."""
    right = (Column(title, is_number=True) for title in numbers)
    return (*map(Column, texts), *right)


def print_cells(
    console: Console,
    head: Sequence[Column],
    rows: Iterable[Sequence[str]],
    *,
    indent: int = 0,
    style: str = "bold",
) -> None:
    """Print rows of cells below a head; nothing where there are no rows."""
    table = Table(tuple(head), tuple(Row(tuple(cells)) for cells in rows))
    print_table(console, table, indent=indent, style=style)


def print_table(console: Console, table: Table, *, indent: int = 0, style: str = "bold") -> None:
    """Print a table without its minor rows; nothing where no row is left. `style`: of the head."""
    shown = rich_table.Table(
        box=None,
        pad_edge=False,
        header_style=style,
        show_header=any(column.title for column in table.columns),
    )
    for column in table.columns:
        title = "\n".join(part for part in (column.title, column.note) if part)
        justify: Literal["left", "right"] = "right" if column.is_number else "left"
        shown.add_column(Text(title), justify=justify, overflow="fold")
    for row in table.rows:
        if row.kind != "minor":
            # As Text: what a card says is not read as markup.
            cells = (Text(cell) for cell in row.cells)
            shown.add_row(*cells, style="dim" if row.kind == "detail" else None)
    if shown.row_count:
        console.print(Padding.indent(shown, indent) if indent else shown)
