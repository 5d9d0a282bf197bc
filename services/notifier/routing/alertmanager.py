"""From an alertmanager.yml to a routing, and what of the file is lost on the way."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml

from services.notifier.routing.document import read
from services.notifier.routing.text import Faults, mapping

Node = dict[str, Any]

_TOP: Final = {
    "global",
    "route",
    "receivers",
    "inhibit_rules",
    "time_intervals",
    "mute_time_intervals",
    "templates",
}
_KEPT: Final = ("route", "inhibit_rules", "time_intervals", "mute_time_intervals")
_GO_TEXT: Final = "is a template of Go: write title and text as docs/notices.md tells"
_SLACK_TOKEN: Final = "env:SLACK_TOKEN"  # noqa: S105 - where it is found, not what it is
_FOR_EMAIL: Final = {
    "from": "smtp_from",
    "smarthost": "smtp_smarthost",
    "hello": "smtp_hello",
    "auth_username": "smtp_auth_username",
    "auth_password": "smtp_auth_password",
    "auth_password_file": "smtp_auth_password_file",
    "require_tls": "smtp_require_tls",
}


def convert_config(text: str) -> tuple[str, list[tuple[str, str]], Faults]:
    """The routing as text, what is lost as place and reason, and why the file is none at all.

    Cost: holds the thread for up to two seconds per megabyte.
    """
    faults = Faults()
    top = mapping(text, faults)
    if not faults.found and not isinstance(top.get("route"), dict):
        faults.add("route", "be there: this is no configuration of an Alertmanager")
    if faults.found:
        return "", [], faults
    conversion = _Conversion(top)
    routing = yaml.safe_dump(conversion.routing(), sort_keys=False, allow_unicode=True)
    lost = conversion.lost + [(path, f"must {should}") for path, should in read(routing)[1].found]
    return routing, lost, faults


class _Conversion:
    """One file on its way; `lost` fills as it goes."""

    def __init__(self, top: Node) -> None:
        self._top = top
        said = top.get("global")
        self._global: Node = said if isinstance(said, dict) else {}
        self.lost: list[tuple[str, str]] = []

    def routing(self) -> Node:
        """All that can be taken."""
        found: Node = {name: self._top[name] for name in _KEPT if name in self._top}
        found["receivers"] = [
            self._receiver(node, f"receivers[{index}]")
            for index, node in enumerate(self._top.get("receivers") or [])
            if isinstance(node, dict)
        ]
        for name in self._top.keys() - _TOP:
            self._lose(str(name), "is not known here")
        if self._top.get("templates"):
            self._lose("templates", _GO_TEXT)
        for name in self._global.keys() - set(_FOR_EMAIL.values()):
            self._lose(f"global.{name}", _GLOBAL.get(str(name), "is not known here"))
        return found

    def _lose(self, path: str, reason: str) -> None:
        self.lost.append((path, reason))

    def _receiver(self, node: Node, path: str) -> Node:
        found: Node = {"name": node.get("name", "")}
        for key, entries in node.items():
            if key == "name":
                continue
            take = _TAKEN.get(key)
            if take is None:
                message = "is not taken: apprise_configs may reach the same service"
                self._lose(f"{path}.{key}", message)
                continue
            found[key] = [
                take(self, entry, f"{path}.{key}[{index}]")
                for index, entry in enumerate(entries or [])
                if isinstance(entry, dict)
            ]
        return found

    def _webhook(self, node: Node, path: str) -> Node:
        found: Node = {"url": node.get("url", ""), "format": "alertmanager"}
        if "url_file" in node:
            found["url"] = f"file:{node['url_file']}"
        found |= self._authorization(node, path, "authorization")
        return found | self._rest(node, path, {"url", "url_file", "http_config"}, sends=True)

    def _email(self, node: Node, path: str) -> Node:
        said = {
            name: value
            for name, key in _FOR_EMAIL.items()
            if (value := node.get(name, self._global.get(key))) is not None
        }
        found = {"to": node.get("to", "")} | {
            name: value for name, value in said.items() if not name.startswith("auth_password")
        }
        if "auth_password_file" in said:
            found["auth_password"] = f"file:{said['auth_password_file']}"
        elif "auth_password" in said:
            found["auth_password"] = self._secret(path, "auth_password", "SMTP_PASSWORD")
        for name in {"html", "text", "headers"} & node.keys():
            self._lose(f"{path}.{name}", _GO_TEXT)
        taken = {"to", *_FOR_EMAIL, "html", "text", "headers"}
        return found | self._rest(node, path, taken, sends=False)

    def _slack(self, node: Node, path: str) -> Node:
        found: Node = {"channel": node.get("channel", "")}
        found |= self._authorization(node, path, "token")
        if "token" not in found:
            found["token"] = _SLACK_TOKEN
            message = (
                "an incoming webhook edits nothing: give the token of a bot as env:SLACK_TOKEN"
            )
            self._lose(f"{path}.api_url", message)
        return found | self._rest(
            node, path, {"channel", "api_url", "api_url_file", "http_config"}, sends=False
        )

    def _pagerduty(self, node: Node, path: str) -> Node:
        found: Node = {}
        if "routing_key_file" in node:
            found["routing_key"] = f"file:{node['routing_key_file']}"
        else:
            name = "routing_key" if "routing_key" in node else "service_key"
            found["routing_key"] = self._secret(path, name, "PAGERDUTY_ROUTING_KEY")
        if "url" in node:
            found["url"] = node["url"]
        taken = {"routing_key", "routing_key_file", "service_key", "url"}
        return found | self._rest(node, path, taken, sends=True)

    def _authorization(self, node: Node, path: str, name: str) -> Node:
        """The bearer token of an `http_config`; the rest of that is lost."""
        http = node.get("http_config")
        if not isinstance(http, dict):
            return {}
        found: Node = {}
        given = http.get("authorization")
        for key in http.keys() - {"authorization"}:
            self._lose(f"{path}.http_config.{key}", "is not taken")
        if isinstance(given, dict) and "credentials_file" in given:
            found[name] = f"file:{given['credentials_file']}"
        elif isinstance(given, dict) and "credentials" in given:
            place = f"{path}.http_config.authorization"
            found[name] = self._secret(place, "credentials", f"{name.upper()}_TOKEN")
        return found

    def _secret(self, path: str, name: str, variable: str) -> str:
        message = f"is a secret and not taken: put it into the environment as {variable}"
        self._lose(f"{path}.{name}", message)
        return f"env:{variable}"

    def _rest(self, node: Node, path: str, taken: set[str], *, sends: bool) -> Node:
        """What every integration has: `sends` is whether Alertmanager tells ends by itself."""
        for name in node.keys() - taken - {"send_resolved"}:
            self._lose(f"{path}.{name}", "is not taken: Sensus words it by itself")
        default = "true" if sends else "false"
        return {"send_resolved": str(node.get("send_resolved", default)).lower() == "true"}


_GLOBAL: Final = {
    "resolve_timeout": "is decided where alerts come in, by SENSUS_INGEST_RESOLVE_TIMEOUT_S",
    "slack_api_url": "is an incoming webhook: give the token of a bot instead",
    "slack_api_url_file": "is an incoming webhook: give the token of a bot instead",
    "pagerduty_url": "is not taken: give url with the integration",
    "http_config": "is not taken",
}
_TAKEN: Final[Mapping[str, Callable[[_Conversion, Node, str], Node]]] = {
    "webhook_configs": _Conversion._webhook,
    "email_configs": _Conversion._email,
    "slack_configs": _Conversion._slack,
    "pagerduty_configs": _Conversion._pagerduty,
}
