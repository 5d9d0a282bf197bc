"""mTLS in Kubernetes, for every service of the mesh: certificates, where they lie, and probes.

A component of kustomize that needs cert-manager. The gRPC probes of Kubernetes speak no TLS, so
with it a port that accepts connections counts as alive and as ready.
"""

from typing import Any, Final

import yaml

from observability.kubernetes import HOLD_SHARDS, deployed
from observability.services import Service

_CERTIFICATES: Final = "certificates.yaml"
_FOLDER: Final = "/etc/sensus/tls"
_HEAD: Final = """\
# Made by `make observability` from services/*/config.py.
# mTLS between the services, by cert-manager: an own CA signs a certificate of 90 days for each.
"""
_ISSUER: Final = "sensus-ca"
_SELF_SIGNED: Final = "sensus-self-signed"


def component_text() -> str:
    """`k8s/components/mtls/kustomization.yaml`."""
    component = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": [_CERTIFICATES],
        "configMapGenerator": [
            {
                "name": "sensus-config",
                "behavior": "merge",
                "literals": [
                    f"SENSUS_TLS_CERT_FILE={_FOLDER}/tls.crt",
                    f"SENSUS_TLS_KEY_FILE={_FOLDER}/tls.key",
                    f"SENSUS_TLS_CA_FILE={_FOLDER}/ca.crt",
                ],
            }
        ],
        "patches": [_patch(each) for each in deployed()],
    }
    return _HEAD + yaml.safe_dump(component, sort_keys=False, width=100)


def certificates_text() -> str:
    """`k8s/components/mtls/certificates.yaml`."""
    authority = {
        "isCA": True,
        "commonName": _ISSUER,
        "secretName": _ISSUER,
        "duration": "87600h",
        "privateKey": {"algorithm": "ECDSA", "size": 256},
        "issuerRef": {"name": _SELF_SIGNED, "kind": "Issuer"},
    }
    objects = [
        _object("Issuer", _SELF_SIGNED, {"selfSigned": {}}),
        _object("Certificate", _ISSUER, authority),
        _object("Issuer", _ISSUER, {"ca": {"secretName": _ISSUER}}),
        *map(_certificate, deployed()),
    ]
    return _HEAD + yaml.safe_dump_all(objects, sort_keys=False, width=100)


def _certificate(service: Service) -> dict[str, Any]:
    hosts = [service.name]
    if service.name == "gateway":
        hosts.append("gateway-grpc")
    spec = {
        "secretName": _secret(service),
        "commonName": service.name,
        "dnsNames": hosts,
        "usages": ["server auth", "client auth"],
        "duration": "2160h",
        "renewBefore": "720h",
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "issuerRef": {"name": _ISSUER, "kind": "Issuer"},
    }
    return _object("Certificate", _secret(service), spec)


def _patch(service: Service) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": service.name,
        "volumeMounts": [{"name": "tls", "mountPath": _FOLDER, "readOnly": True}],
    }
    if "http" not in service.ports:
        port = {"tcpSocket": {"port": "grpc"}, "grpc": None}
        container |= {f"{kind}Probe": port for kind in ("startup", "readiness", "liveness")}
    volume = {"name": "tls", "secret": {"secretName": _secret(service), "defaultMode": 0o440}}
    workload = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet" if service.name in HOLD_SHARDS else "Deployment",
        "metadata": {"name": service.name},
        "spec": {"template": {"spec": {"containers": [container], "volumes": [volume]}}},
    }
    return {"patch": yaml.safe_dump(workload, sort_keys=False)}


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    version = "cert-manager.io/v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _secret(service: Service) -> str:
    return f"sensus-tls-{service.name}"
