"""`safebench register PLAN`: name a protocol before it is run, and get a nonce for its seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from safebench.cli import options
from safebench.errors import RunError

if TYPE_CHECKING:
    from safebench.evidence.registration import Registration


@click.command(name="register")
@click.argument("plan", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out",
    metavar="FILE",
    default="registration.json",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write. One that exists is never overwritten, unless it is the request.",
)
@options.key
@options.signer
@click.option(
    "--board",
    metavar="DIR",
    type=options.EXISTING_FOLDER,
    help="Folder of the board that issues the nonce: the registration is added to its log, and a "
    "protocol that is in it gets no second nonce.",
)
def command(plan: Path, out: Path, key: Path | None, board: Path | None, **by: str | None) -> None:
    """Register PLAN before it is run: its digest, number of seeds and primary estimands.

    PLAN is a card without results, and a request is written. A board answers the request: with
    --key, PLAN may be that request, and a registration is written, with a random nonce and the
    board's signature. Put the nonce and the file's digest into the card; the seeds then follow from
    a value that nobody knew before the protocol was fixed.

    \b
    Exit codes: 0 written; 2 nothing was written.
    """
    from safebench.evidence import registration as registering
    from safebench.files import replace_file

    if key is None and (board or any(by.values())):
        raise RunError("a request has no registrar", fix="give --key, or none of --name, ...")
    found = _request(plan)
    if key is not None:
        found = _registered(found, key, board, **by)
    same = out.exists() and plan.exists() and out.samefile(plan)
    if out.exists() and not same:
        raise RunError(f"{out}: is there already", fix="name another file by --out")
    # The log comes first: a nonce that is handed out and not logged could be followed by a second.
    content = registering.as_bytes(found)
    if board is not None:
        from safebench.evidence.board_log import append, registration_entry

        append(board, [registration_entry(found)])
    replace_file(out, content)
    click.echo(f"Wrote {out}: {found.seeds} training seeds of protocol {found.protocol[:16]}.")
    _say_next(out, found)


def _request(plan: Path) -> Registration:
    from safebench.evidence.registration import read_registration, request_of

    if plan.suffix == ".json":
        return read_registration(plan, is_request=True)
    from safebench.cli.executing import load_sound_card, needs_models
    from safebench.evidence.submission import Submission

    card = load_sound_card(plan)
    if card.given_results is not None:
        raise RunError(f"{plan}: has results already", fix="register a protocol before it is run")
    with needs_models("register"):
        from safebench.study.plan import make_plan

        return request_of(make_plan(Submission(card, plan.parent), plan.parent).card)


def _registered(
    request: Registration,
    key: Path,
    board: Path | None,
    *,
    name: str | None,
    organisation: str | None,
    date: str | None,
) -> Registration:
    from safebench.evidence.keys import read_key
    from safebench.evidence.registration import register
    from safebench.evidence.signature import Signer

    if name is None:
        raise RunError("nobody is named as the registrar", fix="give --name, and --organisation")
    if board is not None:
        _refuse_a_second(board, request)
    registrar = Signer(name=name, organisation=organisation or name)
    return register(request, read_key(key), registrar, date)


def _refuse_a_second(board: Path, request: Registration) -> None:
    from safebench.evidence.board_log import read_log

    for number, line in enumerate(read_log(board), start=1):
        if line.kind == "registration" and line.id == request.generation:
            raise RunError(
                f"{board}: this protocol was registered before (line {number} of the log)",
                fix="use the nonce that was issued then: a second one could be the luckier",
            )


def _say_next(out: Path, found: Registration) -> None:
    if found.nonce is None:
        click.echo("Next: send it to a board, which answers with a nonce.")
        return
    from safebench.files import sha256_of

    registrar = found.registrar
    who = "" if registrar is None else f"{registrar.name}, {registrar.organisation}"
    day = f", {found.date}" if found.date else ""
    click.echo("Next: put the file beside the plan as registration.json, and into its seeds:")
    click.echo(f"  nonce: {found.nonce}\n  nonce_source: {who}{day}")
    click.echo(f"  registration: {sha256_of(out)}")
