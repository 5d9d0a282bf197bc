"""/api/v1/api-keys: keys for webhooks and other senders, made by admins."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mesh.errors import FailedPrecondition
from services.gateway.auth.names import known_key_id
from services.gateway.auth.roles import check_key_scopes
from services.gateway.auth.standing import StandingKeeper
from services.gateway.http.bodies import JsonResponse, decoded
from services.gateway.http.endpoint import Endpoint, Operation, principal_of
from services.gateway.http.queries import PAGE_NAMES, Page, only, page_parameters
from services.gateway.model import ApiKey
from services.gateway.routes.users import for_admins
from services.gateway.secrets import hash_of, new_api_key
from services.gateway.store import ApiKeyStore


class NewKey(msgspec.Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A key to make. Without a limit of its own it has the gateway's for keys."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[ -~]{1,128}$")]
    scopes: Annotated[list[str], msgspec.Meta(max_length=32)]
    requests_per_minute: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] | None = None


class Key(msgspec.Struct, rename="camel", kw_only=True):
    """A key without its secret."""

    key_id: str
    name: str
    owner: str
    scopes: list[str]
    requests_per_minute: int | None
    created_at: datetime
    revoked_at: datetime | None


class CreatedKey(Key, rename="camel", kw_only=True):
    """A new key. `key` is shown this once and kept nowhere."""

    key: str


class KeyList(msgspec.Struct, rename="camel", kw_only=True):
    """A page of keys, newest first, revoked ones too."""

    api_keys: list[Key]
    next_page_token: str


_LIST: Final = Operation(
    tag="Administration",
    name="ListApiKeys",
    summary="Lists API keys",
    answer=KeyList,
    parameters=page_parameters(),
)
_CREATE: Final = Operation(
    tag="Administration",
    name="CreateApiKey",
    summary="Makes an API key",
    description="Send it as `Authorization: Bearer sk_…` or as `X-API-Key`.",
    body=NewKey,
    answer=CreatedKey,
    status=201,
)
_REVOKE: Final = Operation(
    tag="Administration",
    name="RevokeApiKey",
    summary="Ends an API key for good",
    description="Takes effect within five seconds.",
    parameters=({"name": "key_id", "in": "path", "required": True, "schema": {"type": "string"}},),
    status=204,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRoutes:
    """Administration of API keys."""

    api_keys: ApiKeyStore
    keeper: StandingKeeper

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject."""
        path = "/api/v1/api-keys"
        return [
            for_admins("GET", path, self._list, _LIST),
            for_admins("POST", path, self._create, _CREATE),
            for_admins("DELETE", f"{path}/{{key_id}}", self._revoke, _REVOKE),
        ]

    async def _list(self, request: Request) -> Response:
        only(request, PAGE_NAMES)
        keys = await self.api_keys.list_all()
        part, more = Page.of(request).cut(keys, lambda key: key.key_id)
        return JsonResponse(KeyList(api_keys=[_shown(key) for key in part], next_page_token=more))

    async def _create(self, request: Request) -> Response:
        sent = await decoded(request, NewKey)
        check_key_scopes(sent.scopes)
        key_id, secret = new_api_key()
        key = await self.api_keys.create(
            key_id,
            hash_of(secret),
            name=sent.name,
            owner=_owner(principal_of(request).subject),
            scopes=sorted(set(sent.scopes)),
            requests_per_minute=sent.requests_per_minute,
        )
        await self.keeper.notice()
        return JsonResponse(CreatedKey(**msgspec.structs.asdict(_shown(key)), key=secret), 201)

    async def _revoke(self, request: Request) -> Response:
        key_id = known_key_id(request.path_params["key_id"])
        await self.api_keys.revoke(principal_of(request).subject, key_id)
        await self.keeper.notice()
        return Response(status_code=204)


def _owner(subject: str) -> str:
    kind, _, name = subject.partition(":")
    if kind != "user":
        raise FailedPrecondition("a key belongs to a person: log in as one")
    return name


def _shown(key: ApiKey) -> Key:
    return Key(
        key_id=key.key_id,
        name=key.name,
        owner=key.owner,
        scopes=sorted(key.scopes),
        requests_per_minute=key.requests_per_minute,
        created_at=key.created_at,
        revoked_at=key.revoked_at,
    )
