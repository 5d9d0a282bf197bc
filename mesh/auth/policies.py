"""Who may call which method, read from the option on the rpc itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from mesh.auth.identity import ADMIN, Principal
from mesh.errors import PermissionDenied
from sensus.core.v1 import policy_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Access to one method: any of the scopes, or everybody when `public`."""

    any_of: frozenset[str] = frozenset()
    public: bool = False

    def check(self, principal: Principal) -> None:
        """Lets a principal pass that holds one of the scopes, or `admin`.

        Raises:
            PermissionDenied: SCOPE_MISSING, with the scopes that would do.
        """
        if self.public or ADMIN in principal.scopes or self.any_of & principal.scopes:
            return
        wanted = ", ".join(sorted(self.any_of)) or ADMIN
        raise PermissionDenied(f"this needs one of: {wanted}", metadata={"any_of": wanted})


PUBLIC = Policy(public=True)


def policies(descriptors: Iterable[FileDescriptor]) -> Mapping[str, Policy]:
    """The policies of all methods in these files, by full method (`/pkg.Service/Method`).

    A method without the option is not in the map, and what is not in the map is denied.
    """
    return {
        f"/{service.full_name}/{method.name}": _policy(option)
        for file in descriptors
        for service in file.services_by_name.values()
        for method in service.methods
        if (option := _option(method.GetOptions())) is not None
    }


def _option(options: MethodOptions) -> policy_pb2.Policy | None:
    if not options.HasExtension(policy_pb2.policy):
        return None
    return options.Extensions[policy_pb2.policy]


def _policy(option: policy_pb2.Policy) -> Policy:
    return Policy(any_of=frozenset(option.any_of), public=option.public)
