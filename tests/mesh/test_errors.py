"""Every error to a status and back, over a real connection."""

import logging
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from mesh import errors
from mesh.errors import SensusError, Violation
from tests.mesh.conftest import Echo, method, plain_channel

EVERY_ERROR = [
    errors.InvalidInput(
        "name is empty", reason="NAME_EMPTY", violations=[Violation("name", "set it")]
    ),
    errors.OutOfRange("cursor is trimmed", reason="CURSOR_TRIMMED", metadata={"oldest": "7"}),
    errors.NotFound("alert", "a1"),
    errors.AlreadyExists("name is taken"),
    errors.Conflict("read again"),
    errors.FailedPrecondition("train a model first"),
    errors.Unauthenticated("send a token"),
    errors.PermissionDenied("ask for the scope"),
    errors.Overloaded("slow down", retry_after_s=2.5),
    errors.Unavailable("try later", retry_after_s=0.25),
    errors.DeadlineExceeded("too slow"),
    errors.Cancelled("given up"),
    errors.Unimplemented("not here"),
    errors.Internal("abc"),
]


def raising(error: BaseException) -> Callable[[Any, Any], Any]:
    async def handler(request: bytes, context: Any) -> bytes:
        raise error

    return handler


@pytest.fixture
def echo() -> Echo:
    return Echo()


def test_every_class_of_the_tree_is_tested() -> None:
    subclasses = {cls for cls in vars(errors).values() if _is_concrete(cls)}
    assert subclasses == {type(error) for error in EVERY_ERROR}


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
async def test_error_is_the_same_on_the_other_side(
    error: SensusError, serve: Any, connect: Any
) -> None:
    running = await serve(Echo(unary={"Fail": raising(error)}))
    channel = await connect(running)
    with pytest.raises(type(error)) as caught, errors.translated():
        await channel.unary_unary(method("Fail"))(b"")
    got = caught.value
    assert type(got) is type(error)
    assert (got.code, got.message, got.reason) == (error.code, error.message, error.reason)
    assert (got.metadata, got.retry_after_s) == (error.metadata, error.retry_after_s)
    assert getattr(got, "violations", ()) == getattr(error, "violations", ())
    assert getattr(got, "kind", "") == getattr(error, "kind", "")


async def test_unforeseen_exception_is_masked_and_logged_under_its_id(
    serve: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    running = await serve(Echo(unary={"Fail": raising(RuntimeError("password is hunter2"))}))
    channel = await connect(running)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(method("Fail"))(b"")
    internal = errors.from_rpc_error(caught.value)
    assert isinstance(internal, errors.Internal)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "hunter2" not in repr(caught.value)
    logged = [r for r in caplog.records if getattr(r, "error_id", "") == internal.error_id]
    assert len(logged) == 1
    assert logged[0].levelno == logging.ERROR
    assert "hunter2" in str(logged[0].exc_info)


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.DEADLINE_EXCEEDED),
        (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INTERNAL),
        (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL),
    ],
)
def test_of_our_own_calls_only_try_later_is_passed_on(
    code: grpc.StatusCode, shown: grpc.StatusCode
) -> None:
    assert errors.public_error(grpc.aio.AioRpcError(code, details="downstream")).code is shown


WORST = "\N{ROLLING ON THE FLOOR LAUGHING}" * 5000


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidInput(WORST, violations=[Violation(WORST, WORST)] * 1000),
        errors.InvalidInput(
            "x", violations=[Violation(f"samples[{i}]", "y" * 500) for i in range(99)]
        ),
        errors.NotFound("alert", WORST),
        errors.Conflict(WORST, metadata={f"key{n}": WORST for n in range(100)}),
        errors.Conflict("half a character: \ud800"),
    ],
    ids=["text", "violations", "id", "metadata", "surrogate"],
)
async def test_status_always_fits_the_trailers(error: SensusError, serve: Any) -> None:
    """Seen by a client of somebody else, with gRPC's default limit of 8 KiB."""
    running = await serve(Echo(unary={"Fail": raising(error)}))
    async with plain_channel(running.target) as channel:
        for _ in range(20):
            with pytest.raises(type(error)) as caught, errors.translated():
                await channel.unary_unary(method("Fail"))(b"")
    assert caught.value.reason == error.reason
    assert len(getattr(caught.value, "violations", ())) in (0, 20)


async def test_error_of_a_stream_keeps_its_details(serve: Any, connect: Any) -> None:
    async def handler(requests: Any, context: Any) -> Any:
        async for request in requests:
            yield request
            raise errors.OutOfRange("gone", reason="CURSOR_TRIMMED")

    running = await serve(Echo(bidi={"Talk": handler}))
    channel = await connect(running)
    call = channel.stream_stream(method("Talk"))()
    await call.write(b"one")
    assert await call.read() == b"one"
    with pytest.raises(errors.OutOfRange) as caught, errors.translated():
        await call.read()
    assert caught.value.reason == "CURSOR_TRIMMED"


def test_status_without_details_still_becomes_its_class() -> None:
    foreign = grpc.aio.AioRpcError(grpc.StatusCode.NOT_FOUND, details="who?")
    got = errors.from_rpc_error(foreign)
    assert isinstance(got, errors.NotFound)
    assert (got.message, got.kind, got.id) == ("who?", "", "")


@pytest.mark.parametrize("packed", [b"\xff\xff not a status", b""])
def test_broken_details_are_ignored(packed: bytes) -> None:
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", packed))
    foreign = grpc.aio.AioRpcError(grpc.StatusCode.ABORTED, None, trailers, "x")
    assert isinstance(errors.from_rpc_error(foreign), errors.Conflict)


def test_unknown_code_becomes_the_root_of_the_tree() -> None:
    foreign = grpc.aio.AioRpcError(grpc.StatusCode.DATA_LOSS, details="x")
    assert type(errors.from_rpc_error(foreign)) is SensusError


def test_error_info_is_always_there() -> None:
    for error in EVERY_ERROR:
        info = error_details_pb2.ErrorInfo()
        assert any(detail.Unpack(info) for detail in errors.to_status(error).details)
        assert (info.domain, info.reason) == ("sensus", error.reason)


def test_problem_is_the_json_form_of_the_status() -> None:
    problem = errors.to_problem(errors.to_status(errors.NotFound("alert", "a1")))["error"]
    assert (problem["code"], problem["status"]) == (404, "NOT_FOUND")
    assert problem["message"] == "no alert 'a1': check the id"
    assert problem["details"][0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert problem["details"][0]["reason"] == "ALERT_NOT_FOUND"


def test_every_code_has_a_http_status() -> None:
    assert {errors.http_status(code) for code in grpc.StatusCode} >= {200, 400, 401, 403, 404, 503}


def _is_concrete(cls: object) -> bool:
    return isinstance(cls, type) and issubclass(cls, SensusError) and cls is not SensusError
