"""Who would get a notice: routes, what holds them back, and in which words."""

from rich.console import Console

from cli.problem import Problem
from sensus.core.v1 import series_pb2
from sensus.notifier.v1 import notifier_service_pb2 as pb


def label_of(text: str) -> series_pb2.Label:
    """A label that was written as name=value."""
    name, found, value = text.partition("=")
    if not found or not name:
        raise Problem(f"--labels {text}: write name=value")
    return series_pb2.Label(name=name, value=value.strip('"'))


def show_matches(console: Console, answer: pb.TestRoutingResponse) -> None:
    """One route after the other."""
    if not answer.matches:
        console.print("nobody: there is no routing; see sensus notify put")
    for match in answer.matches:
        ways = ", ".join(match.integrations) or "no integrations"
        console.print(f"{match.receiver} ({ways})", markup=False)
        console.print(f"  by {' > '.join(match.path)}", markup=False, soft_wrap=True)
        if match.held_by:
            console.print(f"  not now: {match.held_by}", markup=False)
        for step in match.escalation:
            message = f"{step.receiver} after {step.after.ToSeconds()} s unless {step.unless}"
            console.print(f"  then {message}", markup=False)
        for each in match.previews:
            console.print(f"  {each.integration}: {each.title}", markup=False, soft_wrap=True)
            for line in each.text.splitlines():
                console.print(f"    {line}", markup=False, soft_wrap=True)
