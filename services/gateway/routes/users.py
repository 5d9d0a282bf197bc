"""/api/v1/users: who may log in, for admins."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import ADMIN, Policy
from mesh.errors import InvalidInput
from services.gateway.auth.names import check_user_name, known_user_name
from services.gateway.auth.passwords import Passwords
from services.gateway.auth.roles import check_role
from services.gateway.auth.standing import StandingKeeper
from services.gateway.http.bodies import JsonResponse, decoded
from services.gateway.http.endpoint import Endpoint, Handle, Operation, principal_of
from services.gateway.http.queries import PAGE_NAMES, Page, only, page_parameters
from services.gateway.model import Account
from services.gateway.store import AccountStore

ADMINS: Final = Policy(any_of=frozenset({ADMIN}))


def for_admins(method: str, path: str, handle: Handle, operation: Operation) -> Endpoint:
    """An endpoint of administration; what it changes is audited."""
    return Endpoint(
        method=method,
        path=path,
        policy=ADMINS,
        handle=handle,
        operation=operation,
        audited=method != "GET",
    )


class User(msgspec.Struct, rename="camel", kw_only=True):
    """A person who may log in."""

    user_name: str
    role: str
    disabled: bool
    created_at: datetime


class UserList(msgspec.Struct, rename="camel", kw_only=True):
    """A page of users, by name."""

    users: list[User]
    next_page_token: str


class NewUser(msgspec.Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A user to make. Roles: viewer, operator, admin."""

    user_name: str
    password: str
    role: str


class UserChange(msgspec.Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """What to change of a user; what is absent stays."""

    role: str | None = None
    disabled: bool | None = None
    password: str | None = None


_NAME_PARAMETER: Final = {
    "name": "user_name",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
}
_LIST: Final = Operation(
    tag="Administration",
    name="ListUsers",
    summary="Lists users",
    answer=UserList,
    parameters=page_parameters(),
)
_CREATE: Final = Operation(
    tag="Administration",
    name="CreateUser",
    summary="Makes a user",
    body=NewUser,
    answer=User,
    status=201,
)
_UPDATE: Final = Operation(
    tag="Administration",
    name="UpdateUser",
    summary="Changes role or password, disables or enables",
    description="Takes effect on running log-ins within five seconds.",
    body=UserChange,
    answer=User,
    parameters=(_NAME_PARAMETER,),
)
_DELETE: Final = Operation(
    tag="Administration",
    name="DeleteUser",
    summary="Removes a user with all sessions and API keys",
    description="Takes effect on running log-ins within five seconds.",
    parameters=(_NAME_PARAMETER,),
    status=204,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRoutes:
    """Administration of users."""

    accounts: AccountStore
    passwords: Passwords
    keeper: StandingKeeper

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject."""
        path = "/api/v1/users"
        return [
            for_admins("GET", path, self._list, _LIST),
            for_admins("POST", path, self._create, _CREATE),
            for_admins("PATCH", f"{path}/{{user_name}}", self._update, _UPDATE),
            for_admins("DELETE", f"{path}/{{user_name}}", self._delete, _DELETE),
        ]

    async def _list(self, request: Request) -> Response:
        only(request, PAGE_NAMES)
        accounts = await self.accounts.list_all()
        part, more = Page.of(request).cut(accounts, lambda account: account.user_name)
        users = [_shown(account) for account in part]
        return JsonResponse(UserList(users=users, next_page_token=more))

    async def _create(self, request: Request) -> Response:
        sent = await decoded(request, NewUser)
        check_user_name(sent.user_name)
        check_role(sent.role)
        actor = principal_of(request).subject
        hashed = await self.passwords.hash(sent.password)
        account = await self.accounts.create(actor, sent.user_name, hashed, sent.role)
        return JsonResponse(_shown(account), 201)

    async def _update(self, request: Request) -> Response:
        user_name = known_user_name(request.path_params["user_name"])
        sent = await decoded(request, UserChange)
        if sent == UserChange():
            raise InvalidInput("nothing to change: send role, disabled or password")
        if sent.role is not None:
            check_role(sent.role)
        hashed = None if sent.password is None else await self.passwords.hash(sent.password)
        account = await self.accounts.update(
            principal_of(request).subject,
            user_name,
            role=sent.role,
            disabled=sent.disabled,
            password_hash=hashed,
        )
        await self.keeper.notice()
        return JsonResponse(_shown(account))

    async def _delete(self, request: Request) -> Response:
        user_name = known_user_name(request.path_params["user_name"])
        await self.accounts.delete(principal_of(request).subject, user_name)
        await self.keeper.notice()
        return Response(status_code=204)


def _shown(account: Account) -> User:
    return User(
        user_name=account.user_name,
        role=account.role,
        disabled=account.disabled,
        created_at=account.created_at,
    )
