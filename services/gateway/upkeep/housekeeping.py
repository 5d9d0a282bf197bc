"""What the gateway does by itself: the first user, and dropping what has expired."""

import asyncio
import logging
from typing import Final

from mesh.errors import Unavailable
from services.gateway.auth.passwords import Passwords
from services.gateway.store import Stores

FIRST_USER: Final = "admin"
_PURGE_EVERY_S: Final = 3600.0

logger = logging.getLogger(__name__)


async def bootstrap(stores: Stores, passwords: Passwords, password: str) -> None:
    """Makes the user `admin` when a password is given and there is no user at all."""
    if not password or await stores.accounts.list_all():
        return
    if await stores.accounts.create_first(FIRST_USER, await passwords.hash(password)):
        logger.info("made the first user", extra={"user_name": FIRST_USER})


async def purge(stores: Stores) -> None:
    """Drops what has expired, again and again; a worker of the process."""
    while True:
        try:
            await stores.refresh_tokens.purge()
            await stores.attempts.purge()
            await stores.login_links.purge()
            await stores.idempotency.purge()
            await stores.standing.purge()
        except Unavailable:
            logger.info("nothing dropped, the database is away")
        await asyncio.sleep(_PURGE_EVERY_S)
