"""`sensus keys`: the keys of an installation that `sensus up` does not run."""

from pathlib import Path
from typing import Annotated

import typer

from cli.problem import Problem
from cli.product.environment import SERVICES
from mesh.auth import generate_key_files


def keys(
    directory: Annotated[Path, typer.Argument(help="Where to write them; made when missing.")],
) -> None:
    """Make one private key per service and the list of public keys that all services trust.

    Keys that are there already are kept, so running it again changes nothing.
    """
    try:
        jwks_file = generate_key_files(directory, SERVICES)
    except OSError as error:
        raise Problem(f"cannot write {error.filename}: {error.strerror}") from None
    for service in SERVICES:
        typer.echo(f"{directory / f'{service}.pem'}  private key of {service}, for nobody else")
    typer.echo(f"{jwks_file}  public keys, for every service")
