"""The console as the gateway serves it: one shell, files that never change, a strict policy."""

import base64
import gzip
import hashlib
import re
from pathlib import Path

import httpx
import pytest

from services.gateway.routes.console import FILES, PAGES, ConsoleRoutes, needed
from tests.gateway.conftest import Running

HTML = {"Accept": "text/html"}
SCRIPT = re.compile(r'src="(/console/[0-9a-f]{16}/main\.js)"')


async def shell(running: Running, path: str = "/") -> httpx.Response:
    answer = await running.http.get(path, headers=HTML)
    assert answer.status_code == 200
    return answer


@pytest.mark.parametrize("path", [re.sub(r"\{.*\}", "x", page) for page in PAGES])
async def test_every_page_is_the_shell(running: Running, path: str) -> None:
    answer = await shell(running, path)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert SCRIPT.search(answer.text)


async def test_scripts_run_from_here_alone(running: Running) -> None:
    """As files, but for one that the policy allows by its hash: it asks before they have come."""
    answer = await shell(running)
    (inline,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert inline == (FILES / "ahead.js").read_text()
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"\son\w+=|\sstyle=", answer.text.replace(inline, ""))


async def test_every_file_is_there_under_its_hash_and_kept(running: Running) -> None:
    found = SCRIPT.search((await shell(running)).text)
    assert found
    base = found[1].removesuffix("/main.js")
    in_shell = ("index.html", "ahead.js")
    names = [path.relative_to(FILES).as_posix() for path in _files() if path.name not in in_shell]
    assert len(names) > 10
    for name in names:
        answer = await running.http.get(f"{base}/{name}", headers={"Accept-Encoding": "gzip"})
        assert answer.content == (FILES / name).read_bytes()
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "immutable" in answer.headers["Cache-Control"]
    plain = await running.http.get(found[1], headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.content == (FILES / "main.js").read_bytes()


@pytest.mark.parametrize("path", ["0000000000000000/main.js", "../main.js", "%2e%2e/LICENSE"])
async def test_nothing_else_is_served(running: Running, path: str) -> None:
    assert (await running.http.get(f"/console/{path}")).status_code == 404


async def test_programs_still_get_the_index(running: Running) -> None:
    answer = await running.http.get("/", headers={"Accept": "*/*"})
    assert answer.json()["docs"] == "/docs"


def test_another_file_is_another_path(tmp_path: Path) -> None:
    shells = []
    for text in ("1;", "2;"):
        (tmp_path / "index.html").write_text('<script src="{{console}}/main.js">')
        (tmp_path / "main.js").write_text(text)
        (tmp_path / "ahead.js").write_text("")
        shells.append(ConsoleRoutes(tmp_path).shells["/"].body)
    assert shells[0] != shells[1]


def test_the_shell_of_a_path_names_all_modules_of_its_page_and_no_other() -> None:
    """One that is missing comes a round trip later; one too many delays the others."""
    shells = ConsoleRoutes().shells
    named = {
        path: set(re.findall(r'"modulepreload" href="/console/[0-9a-f]{16}/([^"]+\.js)"', text))
        for path, text in ((path, shell.body.decode()) for path, shell in shells.items())
    }
    assert {"pages/now.js", "main.js", "api.js", "rows.js"} <= named["/"]
    assert {"pages/incident.js", "charts/chart.js"} <= named["/incidents/{incident_id}"]
    assert not any(name.startswith("charts/") for name in named["/"] | named["/alerts"])
    for path, names in named.items():
        assert {each for each in names if each.startswith("pages/")} >= {PAGES[path]}, path
        assert all((FILES / each).is_file() for each in names), path


def test_the_router_knows_the_same_pages() -> None:
    text = (FILES / "router.js").read_text()
    routes = re.findall(r'\[/\^(.*?)\$/, \(\) => import\("\./([^"]+)"\)\]', text)
    known = {
        re.sub(r"\(\?<(\w+)>\[\^/\]\+\)", r"{\1}", pattern.replace("\\/", "/")): module
        for pattern, module in routes
    }
    assert {re.sub(r"\{.*\}", "{}", path): module for path, module in known.items()} == {
        re.sub(r"\{.*\}", "{}", path): module for path, module in PAGES.items()
    }


def test_the_session_is_asked_for_ahead_by_what_marks_one() -> None:
    """The script that asks is no module, so it cannot import the name of the mark."""
    mark = re.search(r'BEGUN = "([^"]+)"', (FILES / "api.js").read_text())
    assert mark
    assert f'localStorage.getItem("{mark[1]}")' in (FILES / "ahead.js").read_text()


def test_scripts_and_styles_keep_to_their_budget() -> None:
    """First page 25 kB in few files, all scripts 60 kB, styles 8, compressed; no other origin."""
    sizes = {path: len(gzip.compress(path.read_bytes(), 9)) for path in _files()}
    scripts = {
        path.relative_to(FILES).as_posix(): path.read_text()
        for path in sizes
        if path.suffix == ".js"
    }
    first = [FILES / name for name in ("ahead.js", *needed(scripts, "main.js", "pages/now.js"))]
    # a browser asks for six at a time
    assert 6 < len(first) <= 9
    assert sum(sizes[path] for path in first) <= 25_000
    assert sum(size for path, size in sizes.items() if path.suffix == ".js") <= 60_000
    assert sum(size for path, size in sizes.items() if path.suffix == ".css") <= 8_000
    for path in sizes:
        if path.suffix != ".svg":
            assert not re.search(r"https?://", path.read_text()), path


def test_markup_is_never_parsed() -> None:
    """Text of senders is text: there is no way for it to become an element."""
    ways = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    )
    scripts = list(FILES.rglob("*.js"))
    assert len(scripts) > 10
    assert [path.name for path in scripts if ways.search(path.read_text())] == []


def test_what_the_scripts_ask_is_served(running: Running) -> None:
    """A path that nobody serves would be a column that is always empty."""
    texts = [file.read_text() for file in FILES.rglob("*.js")]
    found = [path for text in texts for path in re.findall(r'"(/api/v1/[^"]*)"', text)]
    found += [path for text in texts for path in re.findall(r"`(/api/v1/[^`]*)`", text)]
    asked = {re.sub(r"\$(\d|\{[^}]*\})", "{}", path).partition("?")[0] for path in found}
    assert len(asked) > 20
    served = {re.sub(r"\{[^}]*\}", "{}", each.path) for each in running.gateway.endpoints}
    assert asked - served == set()


def _files() -> list[Path]:
    return [path for path in FILES.rglob("*") if path.suffix in (".html", ".js", ".css", ".svg")]
