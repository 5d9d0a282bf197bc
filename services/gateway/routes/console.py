"""The console: files read once at the start, under a path that names their content."""

import base64
import gzip
import hashlib
import mimetypes
import posixpath
import re
from collections.abc import Mapping, Sequence
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

PAGES: Final = {
    "/": "pages/now.js",
    "/login": "pages/login.js",
    "/incidents/{incident_id}": "pages/incident.js",
    "/alerts": "pages/alerts.js",
    "/alerts/{alert_id}": "pages/alert.js",
    "/anomalies/{anomaly_id}": "pages/anomaly.js",
    "/explanations/{explanation_id}": "pages/explanation.js",
    "/services": "pages/services.js",
    "/services/{name}": "pages/services.js",
    "/explore": "pages/explore.js",
    "/notices": "pages/notices.js",
    "/rules": "pages/rules.js",
    "/people": "pages/people.js",
}
"""The module of each path that the console reads itself, as its router has them too."""

ASSETS: Final = "/console/{version}/{name:path}"
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'sha256-{ahead}'",
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
_MODULES: Final = "{{modules}}"
_ASKING: Final = "{{ahead}}"
_AHEAD: Final = "ahead.js"
_MAIN: Final = "main.js"
_IMPORT: Final = re.compile(r'^(?:import|export)[^;]*? from "([^"]+)"', re.MULTILINE)
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
    release is a new path: what a browser has kept is never old. The shell of a path names all
    modules of its page, so that they come together and not one after the other. `ahead.js` stands
    in the shell itself, and the policy allows that text by its hash and no other: as a file it
    would run after the modules that it is to be ahead of.
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
        ahead, shell = sources.pop(_AHEAD), sources.pop(_SHELL).decode()
        digest_of_ahead = base64.b64encode(hashlib.sha256(ahead).digest()).decode()
        self._policy = _POLICY.format(ahead=digest_of_ahead)
        base = f"/console/{self._version}"
        scripts = {name: body.decode() for name, body in sources.items() if name.endswith(".js")}
        self.shells = {
            path: Asset.of(
                _SHELL,
                shell.replace(_MODULES, _preloads(needed(scripts, _MAIN, module)))
                .replace(_HERE, base)
                .replace(_ASKING, ahead.decode())
                .encode(),
            )
            for path, module in PAGES.items()
        }
        self.assets = {name: Asset.of(name, body) for name, body in sources.items()}

    def endpoints(self) -> list[Endpoint]:
        """The pages but for `/`, and the files."""
        pages = [_public(path, self.page(path), _PAGE) for path in PAGES if path != "/"]
        return [*pages, _public(ASSETS, self._file, _ASSET)]

    def page(self, path: str) -> Handle:
        """Answers `path`, one of `PAGES`, by its shell, which asks for scripts by their hash."""
        shell = self.shells[path]
        headers = {"Content-Security-Policy": self._policy, "Cache-Control": "no-cache"}

        async def answer(request: Request) -> Response:
            return shell.answer(request, headers)

        return answer

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.path_params["version"] != self._version or name not in self.assets:
            raise NotFound("file of the console", name[:200])
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return self.assets[name].answer(request, headers)


def _preloads(modules: Sequence[str]) -> str:
    return "\n".join(f'<link rel="modulepreload" href="{_HERE}/{each}">' for each in modules)


def needed(scripts: Mapping[str, str], *modules: str) -> list[str]:
    """The modules that `modules` cannot run without, and themselves, sorted.

    Args:
        scripts: Text of all modules by path, as `pages/now.js`.
        modules: Paths; those that are not there are left out.
    """
    found: set[str] = set()
    waiting = [name for name in modules if name in scripts]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            folder = posixpath.dirname(name)
            waiting += [
                posixpath.normpath(posixpath.join(folder, each))
                for each in _IMPORT.findall(scripts[name])
            ]
    return sorted(found)


def _public(path: str, handle: Handle, operation: Operation) -> Endpoint:
    return Endpoint(
        method="GET", path=path, policy=PUBLIC, handle=handle, operation=operation, rate=None
    )
