"""`python -m services.agent`: from the environment to a running agent."""

import asyncio
import sys
from dataclasses import fields

from mesh.config import ConfigError
from sensus_client import SpoolError
from services.agent.config import Config
from services.agent.wiring import run


def main() -> int:
    """Exit status 0 after an orderly stop, 2 when it is set up wrongly."""
    if sys.argv[1:]:
        names = " ".join(f"SENSUS_AGENT_{field.name.upper()}" for field in fields(Config))
        sys.stderr.write(f"no arguments are taken, only settings: {names}\n")
        return 2
    try:
        asyncio.run(run())
    except (ConfigError, SpoolError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
