"""`sensus token`: a token for curl and grpcurl."""

from typing import Annotated

import typer

from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.product.directory import DataDirectory
from cli.product.tokens import check_scopes, user_token
from mesh.auth.tokens import LONGEST_S


def token(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    user: Annotated[str, typer.Option(help="Whom the token stands for.")] = "admin",
    scope: Annotated[list[str] | None, typer.Option(help="Repeatable. Default: admin.")] = None,
    ttl: Annotated[int, typer.Option(min=1, max=LONGEST_S, help="Life in seconds.")] = 1800,
) -> None:
    """Print a token for curl and grpcurl.

    It is signed with the key in the data directory: who can read that is an admin.
    """
    scopes = scope or ["admin"]
    check_scopes(scopes)
    typer.echo(user_token(DataDirectory(data_dir), user, scopes=scopes, ttl_s=ttl))
