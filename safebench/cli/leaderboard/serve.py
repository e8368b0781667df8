"""`safebench leaderboard serve SITE`: a built site in a browser on this machine."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="serve")
@click.argument("site", metavar="SITE", type=click.Path(path_type=Path))
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of 127.0.0.1 to listen on; 0 takes any free one.",
)
def command(site: Path, port: int) -> None:
    """Show the site that `safebench leaderboard build` wrote to SITE, until Ctrl-C.

    Only this machine can reach it, and only files in the site's own list (SHA256SUMS) are served.
    Every answer has headers that forbid scripts, frames and requests to other hosts, as a careful
    web host would send them.

    \b
    Exit codes: 0 stopped by Ctrl-C; 2 the site or the port cannot be used.
    """
    from safebench.site.serving import open_server

    with open_server(site, port) as server:
        click.echo(f"Serving {site} at http://127.0.0.1:{server.server_port}/ - Ctrl-C ends it.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("Stopped.")
