"""The console: files read once at the start, under a path that names their content."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import PUBLIC
from mesh.errors import NotFound
from services.gateway.http.endpoint import Endpoint, Handle, Operation
from services.gateway.http.headers import takes_gzip

FILES: Final = Path(__file__).resolve().parents[3] / "console"
"""Beside the packages, in the repository as in the wheel."""

PAGES: Final = (
    "/login",
    "/incidents/{incident_id}",
    "/alerts",
    "/alerts/{alert_id}",
    "/anomalies/{anomaly_id}",
    "/explanations/{explanation_id}",
    "/services",
    "/services/{name}",
    "/explore",
    "/notices",
    "/rules",
    "/people",
)
"""Paths that the console reads itself; all are answered by the same page. `/` is one of them."""

ASSETS: Final = "/console/{version}/{name:path}"
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_SHELL: Final = "index.html"
_HERE: Final = "{{console}}"
_PRELOADED: Final = "{{preloads}}"
_ASSET: Final = Operation(tag="Console", name="GetConsoleFile", summary="A file of the console")
_PAGE: Final = Operation(
    tag="Console", name="GetConsolePage", summary="A page of the console", media_type="text/html"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file, as it is and compressed."""

    body: bytes
    zipped: bytes
    media_type: str

    @classmethod
    def of(cls, name: str, body: bytes) -> "Asset":
        """Of a file with that name."""
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return cls(body=body, zipped=_zipped(body), media_type=media_type)

    def answer(self, request: Request, headers: Mapping[str, str]) -> Response:
        """The file in a form that the browser takes."""
        is_gzip = takes_gzip(request.scope)
        coding = {"Content-Encoding": "gzip"} if is_gzip else {}
        return Response(
            self.zipped if is_gzip else self.body,
            media_type=self.media_type,
            headers={"Vary": "Accept-Encoding", **coding, **headers},
        )


@cache
def _zipped(body: bytes) -> bytes:
    return gzip.compress(body, 9, mtime=0)


class ConsoleRoutes:
    """Every page is the shell; scripts and styles are under `/console/<hash of all files>/`.

    Modules import each other by relative paths, so that one hash in the path is enough, and a new
    release is a new path: what a browser has kept is never old.
    """

    def __init__(self, files: Path = FILES) -> None:
        """Reads and compresses all files: some 20 ms."""
        sources = {
            path.relative_to(files).as_posix(): path.read_bytes()
            for path in sorted(files.rglob("*"))
            if path.suffix in (".html", ".js", ".css", ".svg")
        }
        digest = hashlib.sha256()
        for name, body in sources.items():
            digest.update(b"%s\0%d\0" % (name.encode(), len(body)) + body)
        self._version = digest.hexdigest()[:16]
        shell = sources.pop(_SHELL).decode()
        base = f"/console/{self._version}"
        modules = [name for name in sources if name.endswith(".js") and "/" not in name]
        preloads = "\n".join(
            f'<link rel="modulepreload" href="{base}/{name}">' for name in sorted(modules)
        )
        text = shell.replace(_PRELOADED, preloads).replace(_HERE, base)
        self.shell = Asset.of(_SHELL, text.encode())
        self.assets = {name: Asset.of(name, body) for name, body in sources.items()}

    def endpoints(self) -> list[Endpoint]:
        """The pages but for `/`, and the files."""
        pages = [_public(path, self.page, _PAGE) for path in PAGES]
        return [*pages, _public(ASSETS, self._file, _ASSET)]

    async def page(self, request: Request) -> Response:
        """The shell, which asks for its scripts by a path that changes with them."""
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
        return self.shell.answer(request, headers)

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.path_params["version"] != self._version or name not in self.assets:
            raise NotFound("file of the console", name[:200])
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return self.assets[name].answer(request, headers)


def _public(path: str, handle: Handle, operation: Operation) -> Endpoint:
    return Endpoint(
        method="GET", path=path, policy=PUBLIC, handle=handle, operation=operation, rate=None
    )
