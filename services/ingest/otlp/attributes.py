"""Attributes of OpenTelemetry as texts, and which of a resource become labels."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from services.ingest.model.events import Instance
from services.ingest.model.labels import LabelsRefused
from services.ingest.naming import labels_of

_DEEPEST: Final = 8
_PROMOTED: Final = {
    "service": ("service.name",),
    "service_namespace": ("service.namespace",),
    "environment": ("deployment.environment.name", "deployment.environment"),
    "namespace": ("k8s.namespace.name",),
    "pod": ("k8s.pod.name",),
    "node": ("k8s.node.name",),
    "deployment": ("k8s.deployment.name",),
}
"""Labels of every series of a resource, and the attributes that they come from."""
_COPY: Final = ("service.instance.id", "k8s.pod.name", "host.name")
"""By what a running copy of a service is known, the first that is there."""
_UNKNOWN: Final = "unknown"
_LONGEST: Final = 128
_TARGET: Final = ("job", "instance")
_IDENTITY: Final = ("service.name", "service.namespace", "service.instance.id")


def pairs(attributes: Iterable[KeyValue]) -> list[tuple[str, str]]:
    """Keys and values as texts.

    Raises:
        LabelsRefused: A value is nested too deep.
    """
    return [(each.key, _text(each.value)) for each in attributes]


def promoted(resource: Resource) -> dict[str, str]:
    """Labels of every series of a resource.

    Raises:
        LabelsRefused: A value is nested too deep.
    """
    known = dict(pairs(resource.attributes))
    labels = {label: value for label, keys in _PROMOTED.items() if (value := _first(known, keys))}
    return labels | _job_and_instance(known)


def labelled(own: Mapping[str, str], of_resource: Mapping[str, str]) -> dict[str, str]:
    """The labels of a point. Its own win over those of its resource, but for job and instance."""
    identity = {name: of_resource[name] for name in _TARGET if name in of_resource}
    return {**of_resource, **own, **identity}


def target_info(resource: Resource) -> dict[str, str]:
    """The labels of `target_info`: who a resource is, and all else that it says of itself.

    Empty when it does not say who it is.

    Raises:
        LabelsRefused: A value is nested too deep.
    """
    known = dict(pairs(resource.attributes))
    identity = _job_and_instance(known)
    others = [(key, value) for key, value in known.items() if key not in _IDENTITY]
    return labels_of(others) | identity if identity else {}


def instance_of(resource: Resource) -> Instance:
    """The running copy of a service that a resource is.

    Raises:
        LabelsRefused: A value is nested too deep.
    """
    known = dict(pairs(resource.attributes))
    environment = _first(known, _PROMOTED["environment"])
    return Instance(
        service=_bounded(known.get("service.name", "")) or _UNKNOWN,
        version=_bounded(known.get("service.version", "")),
        instance=_bounded(_first(known, _COPY)),
        environment=_bounded(environment),
    )


def _first(known: Mapping[str, str], keys: Sequence[str]) -> str:
    return next((known[key] for key in keys if known.get(key)), "")


def _bounded(text: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in text[:_LONGEST]).strip()
    return text.encode(errors="replace")[:_LONGEST].decode(errors="ignore")


def _job_and_instance(known: Mapping[str, str]) -> dict[str, str]:
    name, space = known.get("service.name", ""), known.get("service.namespace", "")
    labels = {
        "job": f"{space}/{name}" if space and name else name,
        "instance": known.get("service.instance.id", ""),
    }
    return {label: value for label, value in labels.items() if value}


def _text(value: AnyValue) -> str:
    plain = _plain(value, 0)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: AnyValue, depth: int) -> Any:
    if depth > _DEEPEST:
        raise LabelsRefused(f"an attribute is nested deeper than {_DEEPEST}: flatten it")
    match value.WhichOneof("value"):
        case None:
            return ""
        case "array_value":
            return [_plain(each, depth + 1) for each in value.array_value.values]
        case "kvlist_value":
            return _mapping(value.kvlist_value.values, depth + 1)
        case "bytes_value":
            return value.bytes_value.hex()
        case kind:
            return getattr(value, kind)


def _mapping(values: Sequence[KeyValue], depth: int) -> dict[str, Any]:
    return {each.key: _plain(each.value, depth) for each in values}
