"""`sensus prompts`: the instructions to language models, and how their texts fare."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import grpc
import typer
from rich.console import Console
from rich.table import Table

from cli.clients import prompting
from cli.clients.connection import EXPLAINER, connect
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.problem import Problem
from cli.product.directory import DataDirectory
from cli.render.reports import show_explanation
from cli.render.screen import make_console
from cli.render.text import escape
from sensus.explainer.v1 import explainer_service_pb2 as pb

T = TypeVar("T")

PromptId = Annotated[
    str, typer.Argument(metavar="PROMPT", help="name@version, or a name for its newest version.")
]

prompts = typer.Typer(no_args_is_help=True, help="Prompt templates: list, show, try, compare.")


@prompts.command("list")
def list_prompts(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """List the templates with their shares and outcomes."""
    _table(make_console(), _asked(data_dir, prompting.prompts))


@prompts.command("show")
def show_prompt(prompt: PromptId, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Print the text of a template."""
    found = _asked(data_dir, lambda channel: prompting.prompt(channel, prompt))
    typer.echo(found.text)


@prompts.command("try")
def try_prompt(
    prompt: PromptId,
    subject_id: Annotated[str, typer.Argument(metavar="ID", help="Of an alert or an anomaly.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Explain a subject with a template; nothing is kept."""

    async def ask(channel: grpc.aio.Channel) -> pb.TryPromptResponse:
        found = await prompting.prompt(channel, prompt)
        return await prompting.attempt(channel, found.prompt_id, subject_id)

    _show_tried(make_console(), _asked(data_dir, ask))


@prompts.command("compare")
def compare_prompts(
    first: PromptId,
    second: PromptId,
    subject_id: Annotated[
        str | None, typer.Option("--on", metavar="ID", help="Also try both on this subject.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Put two templates side by side: outcomes, and their words for one subject."""

    async def ask(channel: grpc.aio.Channel) -> list[tuple[pb.Prompt, pb.TryPromptResponse | None]]:
        found = [await prompting.prompt(channel, each) for each in (first, second)]
        return [(each, await _maybe_tried(channel, each, subject_id)) for each in found]

    console = make_console()
    answers = _asked(data_dir, ask)
    _table(console, [each for each, _ in answers])
    for each, tried in answers:
        if tried is not None:
            console.print(f"\n[bold]{escape(each.prompt_id)}[/]")
            _show_tried(console, tried)


@prompts.command("write")
def write_prompt(
    name: Annotated[str, typer.Argument(help="Of the template.")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Its text.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Keep a text as the next version of a template, with weight 0."""
    text = _text_of(file)
    kept = _asked(data_dir, lambda channel: prompting.write(channel, name, text))
    typer.echo(kept.prompt_id)


@prompts.command("weigh")
def weigh_prompt(
    prompt: PromptId,
    weight: Annotated[float, typer.Argument(min=0, max=1000, help="0 for none.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Say what share of the explanations a template gets, beside the weights of the others."""

    async def ask(channel: grpc.aio.Channel) -> pb.Prompt:
        found = await prompting.prompt(channel, prompt)
        return await prompting.weigh(channel, found.prompt_id, weight)

    kept = _asked(data_dir, ask)
    typer.echo(f"{kept.prompt_id} {kept.weight:g}")


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        message = f"{file}: byte {error.start} is not UTF-8: save the text as UTF-8"
        raise Problem(message) from None
    except OSError as error:
        raise Problem(f"{file}: {error.strerror}") from None


def _asked(data_dir: Path, ask: Callable[[grpc.aio.Channel], Awaitable[T]]) -> T:
    async def run() -> T:
        async with connect(DataDirectory(data_dir), EXPLAINER) as channel:
            return await ask(channel)

    return asyncio.run(run())


async def _maybe_tried(
    channel: grpc.aio.Channel, found: pb.Prompt, subject_id: str | None
) -> pb.TryPromptResponse | None:
    if subject_id is None:
        return None
    return await prompting.attempt(channel, found.prompt_id, subject_id)


def _table(console: Console, found: Sequence[pb.Prompt]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("prompt")
    for title in ("weight", "asked", "used", "clean", "struck", "median", "tokens", "cost"):
        table.add_column(title, justify="right")
    table.add_column("right/partly/wrong", justify="right")
    for each in found:
        table.add_row(each.prompt_id, *_cells(each))
    console.print(table)


def _cells(prompt: pb.Prompt) -> list[str]:
    fared = prompt.outcomes
    feedback = (fared.feedback_right, fared.feedback_partly, fared.feedback_wrong)
    return [
        f"{prompt.weight:g}",
        str(fared.asked),
        _share(fared.used, fared.asked),
        _share(fared.clean, fared.used),
        str(fared.struck_claims),
        f"{fared.duration_median_s:.1f} s",
        f"{fared.input_tokens_mean:.0f}+{fared.output_tokens_mean:.0f}",
        f"{fared.cost:.4g}",
        "/".join(map(str, feedback)),
    ]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def _show_tried(console: Console, tried: pb.TryPromptResponse) -> None:
    show_explanation(console, tried.explanation, evidence_at_most=5)
    wording = tried.explanation.wording
    console.print(
        f"  {tried.duration_s:.1f} s, {wording.input_tokens}+{wording.output_tokens} tokens, "
        f"{wording.struck_claims} struck, cost {tried.cost:.4g}"
    )
