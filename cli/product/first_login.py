"""The password of the first user: made once, shown once, then known to nobody but its reader."""

import os
import secrets
from pathlib import Path

import httpx

USER = "admin"


class FirstLogin:
    """Makes the password and forgets it once it opens the door.

    Until then it lies in a file for the owner only, so that a first start that was broken off after
    the user was made does not lock everybody out.
    """

    def __init__(self, keys: Path) -> None:
        self._pending = keys / "admin-password.pending"
        self._done = keys / "admin-created"

    def password(self) -> str:
        """What the gateway shall give to the user admin; empty when that was done before."""
        if self._done.exists():
            return ""
        if not self._pending.exists():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(self._pending, flags, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(15))
        return self._pending.read_text()

    async def settle(self, gateway_url: str) -> str:
        """The password to show, if it works: there may have been users before. Then it is gone."""
        if self._done.exists():
            return ""
        password = self.password()
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            url = f"{gateway_url}/api/v1/auth/token"
            answer = await client.post(url, auth=(USER, password))
        self._done.touch()
        self._pending.unlink()
        return password if answer.status_code == httpx.codes.OK else ""
