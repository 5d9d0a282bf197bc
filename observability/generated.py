"""The files that are made here, and whether those on disk are what is made now."""

from pathlib import Path
from typing import Final

from observability import certificates, kubernetes, reference, scraping, settings
from observability.dashboards import dashboards
from observability.rules import render
from observability.services import REPOSITORY

_GRAFANA: Final = Path("observability/grafana/dashboards")
_PROMETHEUS: Final = Path("observability/prometheus")


def files() -> dict[Path, str]:
    """Every generated file with its text, paths from the repository's root."""
    return {
        Path("docs/metrics.md"): reference.page(),
        Path("docs/settings.md"): settings.page(),
        Path("k8s/base/network.yaml"): kubernetes.network_text(),
        Path("k8s/components/mtls/kustomization.yaml"): certificates.component_text(),
        Path("k8s/components/mtls/certificates.yaml"): certificates.certificates_text(),
        Path("k8s/base/scaling.yaml"): kubernetes.scaling_text(),
        **{_GRAFANA / f"{each.name}.json": each.text() for each in dashboards()},
        _PROMETHEUS / "prometheus.yml": scraping.prometheus_text(),
        **{_PROMETHEUS / name: text for name, text in render.texts().items()},
    }


def write() -> list[Path]:
    """Writes those that differ and tells which."""
    stale = outdated()
    for path in stale:
        target = REPOSITORY / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(files()[path])
    return stale


def outdated() -> list[Path]:
    """Files on disk that are not what would be written."""
    return [path for path, text in files().items() if _on_disk(path) != text]


def _on_disk(path: Path) -> str | None:
    target = REPOSITORY / path
    return target.read_text() if target.exists() else None
