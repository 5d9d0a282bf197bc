"""Settings of the notifier from the environment, `SENSUS_NOTIFIER_*` before `SENSUS_*`."""

from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from mesh import ports
from mesh.config import CommonConfig, ConfigError, Port

_ANSWERS: Final = 1.5
"""A delivery may last as long as so many waits for an answer: some channels ask twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(CommonConfig):
    """Settings of one notifier process."""

    grpc_port: Annotated[Port, Meta(description="gRPC port; 0 takes a free one")] = ports.NOTIFIER
    metrics_port: Annotated[Port, Meta(description="Port of /metrics; 0 serves none")] = (
        ports.METRICS_NOTIFIER
    )
    incidents_target: Annotated[
        str, Meta(description="incidents, host:port or dns:///name:port")
    ] = f"127.0.0.1:{ports.INCIDENTS}"
    public_url: Annotated[
        str, Meta(description="Where people find the product: links in notices lead there")
    ] = ""
    private_hosts: Annotated[
        tuple[str, ...],
        Meta(description="Hosts of receivers that may have a private address"),
    ] = ()
    secret_directories: Annotated[
        tuple[str, ...],
        Meta(description="Directories below which file: references of the routing may lead"),
    ] = ("/run/secrets", "/etc/sensus/secrets")
    delivery_timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="Longest wait for the answer of a receiver's server")
    ] = 20.0
    delivery_lease_s: Annotated[
        float,
        Meta(ge=1, description="A notice whose replica hangs is taken over after so long"),
    ] = 60.0
    watch_lease_s: Annotated[
        float, Meta(ge=1, description="Silence after which another replica follows the incidents")
    ] = 15.0
    poll_s: Annotated[float, Meta(gt=0, le=10, description="Between two looks at what is due")] = (
        0.5
    )
    explanation_wait_s: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="Longest wait of a first notice for the cause; 20 suits a language model",
        ),
    ] = 3.0
    give_up_critical_s: Annotated[
        float, Meta(gt=0, description="A critical notice is tried for so long")
    ] = 24 * 3600.0
    give_up_s: Annotated[float, Meta(gt=0, description="Any other notice is tried for so long")] = (
        2 * 3600.0
    )
    retention_days: Annotated[
        float, Meta(gt=0, description="Notices that are over are kept that long")
    ] = 90.0

    @property
    def delivery_within_s(self) -> float:
        """The longest that one delivery may last, whatever its channel asks."""
        return _ANSWERS * self.delivery_timeout_s

    def __post_init__(self) -> None:
        """Refuses a lease that may end while its notice is still being delivered.

        Raises:
            ConfigError: Naming the variables.
        """
        if self.delivery_lease_s <= self.delivery_within_s:
            raise ConfigError(
                f"SENSUS_NOTIFIER_DELIVERY_LEASE_S must be above {self.delivery_within_s:g}, "
                f"{_ANSWERS:g} times SENSUS_NOTIFIER_DELIVERY_TIMEOUT_S: another replica would "
                "send the same notice"
            )
