"""The explainer process."""

from contextlib import AsyncExitStack

from mesh import auth, clients, config, postgres, serving, telemetry, tls
from mesh.clock import SystemClock
from mesh.health import Health
from mesh.interceptors import server_interceptors
from mesh.migrations import check
from sensus.explainer.v1 import explainer_service_pb2 as explainer_pb
from sensus.explainer.v1 import explainer_service_pb2_grpc
from services.explainer.config import ExplainerConfig
from services.explainer.servicer import SERVICE
from services.explainer.work import DETECTOR, INGEST, Work


async def serve() -> None:
    """Explains until it is told to stop."""
    settings = config.load(ExplainerConfig, prefix="EXPLAINER")
    minter = auth.TokenMinter.from_file(settings.auth_key_file, "explainer")
    verifier = auth.TokenVerifier.from_file(settings.auth_jwks_file)
    health, drain = Health([SERVICE]), serving.Drain()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(telemetry.setup("explainer", settings))
        pool = await stack.enter_async_context(
            postgres.open_pool(settings.postgres_dsn, application_name="sensus-explainer")
        )
        await check(pool, "explainer")
        ingest, detector = [
            await stack.enter_async_context(
                clients.open_channel(
                    target,
                    service=service,
                    tokens=minter.service_token,
                    caller="explainer",
                    credentials=tls.channel_credentials(settings),
                )
            )
            for target, service in (
                (settings.ingest_target, INGEST),
                (settings.detector_target, DETECTOR),
            )
        ]
        work = await stack.enter_async_context(
            Work(settings, pool, ingest, detector, SystemClock(), drain)
        )
        await health.add_check("database", lambda: postgres.ping(pool))
        server = serving.Server(
            service="explainer",
            host=settings.listen_host,
            port=settings.grpc_port,
            interceptors=server_interceptors(
                verifier=verifier, policies=auth.policies([explainer_pb.DESCRIPTOR])
            ),
            health=health,
            drain=drain,
            credentials=tls.server_credentials(settings),
        )
        explainer_service_pb2_grpc.add_ExplainerServiceServicer_to_server(
            work.servicer, server.grpc
        )
        await serving.run(server, workers=work.workers, config=settings)


if __name__ == "__main__":
    serving.main(serve)
