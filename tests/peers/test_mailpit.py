"""A real mail server with a real mailbox gets the notices of an incident, as one thread."""

from datetime import UTC, datetime
from email import message_from_string
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.peers.conftest import program, running
from tests.ports import free_port
from tests.product import UNLIMITED, eventually, started, webhook

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

ROUTING = """
route: {{receiver: mail}}
receivers:
  - name: mail
    email_configs:
      - {{to: night@example.com, from: 'Sensus <sensus@example.com>', smarthost: '127.0.0.1:{port}',
          require_tls: false}}
"""
SERVICE = "pay <b>now</b> 支払い"


async def test_an_incident_is_one_thread_in_a_mailbox(tmp_path: Path) -> None:
    mailpit = program("mailpit")
    smtp, web = free_port(), free_port()
    command = [
        mailpit,
        f"--smtp=127.0.0.1:{smtp}",
        f"--listen=127.0.0.1:{web}",
        f"--database={tmp_path}/mail.db",
        "--disable-version-check",
    ]
    settings = {**UNLIMITED, "SENSUS_NOTIFIER_PRIVATE_HOSTS": "127.0.0.1"}
    async with (
        running(command, tmp_path / "mailpit.log"),
        started(tmp_path / "data", settings=settings) as door,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{web}", trust_env=False) as box,
    ):
        answer = await door.http.put("/api/v1/routing", json={"yaml": ROUTING.format(port=smtp)})
        assert answer.status_code == 200, answer.text
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        posted = webhook("Down", starts_at=now, severity="critical", service=SERVICE)
        assert (await door.http.post("/api/v1/alerts", json=posted)).status_code == 200
        (opened,) = await eventually(lambda: mails(box, 1), what="the first mail")
        found = (await door.http.get("/api/v1/incidents")).json()["incidents"]
        incident_id = found[0]["incidentId"]
        path = f"/api/v1/incidents/{incident_id}"
        assert (await door.http.post(f"{path}:acknowledge", json={})).status_code == 200
        await eventually(lambda: mails(box, 2), what="the second mail")
        assert (await door.http.post(f"{path}:resolve", json={})).status_code == 200
        every = await eventually(lambda: mails(box, 3), what="the third mail")
        (html,) = [part for part in opened.walk() if part.get_content_type() == "text/html"]
        broken = (await box.get(f"/api/v1/message/{await newest(box)}/link-check")).json()
    subjects = [str(mail["Subject"]) for mail in every]
    for subject, told in zip(subjects, ("opened", "test is on it", "resolved after "), strict=True):
        assert subject.startswith(f"[CRITICAL] {told}"), subjects
    assert {str(mail["References"]) for mail in every} == {f"<incident.{incident_id}@example.com>"}
    assert len({str(mail["Message-ID"]) for mail in every}) == 3
    assert SERVICE.rpartition(" ")[2] in str(opened["Subject"])
    assert "<b>now</b>" not in html.get_content()
    assert broken["Errors"] == 0


async def mails(box: httpx.AsyncClient, count: int) -> list[EmailMessage] | None:
    """All mails as they arrived, oldest first, once there are so many."""
    listed = (await box.get("/api/v1/messages")).json()["messages"]
    if len(listed) < count:
        return None
    found = []
    for each in reversed(listed):
        raw = (await box.get(f"/api/v1/message/{each['ID']}/raw")).text
        found.append(message_from_string(raw, policy=default))
    return found


async def newest(box: httpx.AsyncClient) -> Any:
    """The id of the mail that came last."""
    return (await box.get("/api/v1/messages")).json()["messages"][0]["ID"]
