"""`sensus login`: a link that logs a browser in."""

from typing import Annotated

import typer

from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.product.directory import DataDirectory
from cli.product.tokens import login_link


def login(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    user: Annotated[str, typer.Option(help="Who is logged in.")] = "admin",
    url: Annotated[
        str, typer.Option(help="The console. Default: that of the running product.")
    ] = "",
) -> None:
    """Print a link that logs a browser in, once, within ten minutes.

    It is signed with the key in the data directory: who can read that is an admin.
    """
    directory = DataDirectory(data_dir)
    typer.echo(login_link(directory, url or directory.running().gateway_url, user))
