"""`sensus token`: a token for curl and grpcurl."""

from typing import Annotated

import typer

from cli.directory import DataDirectory
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.tokens import user_token


def token(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    user: Annotated[str, typer.Option(help="Whom the token stands for.")] = "admin",
    scope: Annotated[list[str] | None, typer.Option(help="Repeatable. Default: admin.")] = None,
    ttl: Annotated[int, typer.Option(min=1, help="Life of the token in seconds.")] = 1800,
) -> None:
    """Print a token for curl and grpcurl.

    It is signed with the key in the data directory: who can read that is an admin.
    """
    typer.echo(user_token(DataDirectory(data_dir), user, scopes=scope or ["admin"], ttl_s=ttl))
