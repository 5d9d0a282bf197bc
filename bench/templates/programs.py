"""Makes Python programs log, and writes what they logged: each line with the place that wrote it.

Runs in an environment of its own, where these programs are installed:

    .templates/bin/python bench/templates/programs.py > lines.jsonl
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from recording import LINES, Kept, chance, until_full, word
from talkers import aiosmtpd, paramiko, pyftpdlib, web, websockets


def main() -> None:
    """Prints the lines of all systems, as JSON."""
    logging.raiseExceptions = False
    for system, loggers, run in SYSTEMS:
        kept = Kept()
        for name in loggers:
            logger = logging.getLogger(name)
            logger.setLevel(logging.DEBUG)
            logger.addHandler(kept)
            logger.propagate = False
        begun = time.monotonic()
        try:
            run(kept)
        finally:
            for name in loggers:
                logging.getLogger(name).removeHandler(kept)
                logging.getLogger(name).setLevel(logging.CRITICAL)
        for place, text in kept.lines:
            print(json.dumps({"system": system, "template": place, "text": text}))
        took_s = time.monotonic() - begun
        print(f"{system}: {len(kept.lines)} lines in {took_s:.1f} s", file=sys.stderr)


def sqlalchemy(kept: Kept) -> None:
    import sqlalchemy as sa
    from sqlalchemy import orm, pool

    base: Any = orm.declarative_base()

    class Customer(base):
        __tablename__ = "customer"
        id = sa.Column(sa.Integer, primary_key=True)
        name = sa.Column(sa.String, unique=True)
        orders = orm.relationship("Order", back_populates="customer")

    class Order(base):
        __tablename__ = "orders"
        id = sa.Column(sa.Integer, primary_key=True)
        customer_id = sa.Column(sa.ForeignKey("customer.id"))
        total = sa.Column(sa.Float)
        customer = orm.relationship("Customer", back_populates="orders")

    def work() -> None:
        with tempfile.TemporaryDirectory() as directory:
            engine = sa.create_engine(f"sqlite:///{directory}/{word()}", poolclass=pool.QueuePool)
            orm.configure_mappers()
            base.metadata.create_all(engine)
            for _ in range(12):
                with suppress(Exception), orm.Session(engine) as session:
                    made = Customer(name=word())
                    made.orders = [Order(total=chance.random()) for _ in range(3)]
                    session.add(made)
                    session.commit()
                    session.scalars(sa.select(Order).where(Order.total > chance.random())).all()
                    if chance.random() < 0.3:
                        session.add(Customer(name=made.name))
                        session.commit()
                    if chance.random() < 0.3:
                        session.connection().invalidate()
            engine.dispose()

    until_full(kept, work)


def apscheduler(kept: Kept) -> None:
    from apscheduler.schedulers.background import BackgroundScheduler

    def job() -> None:
        if chance.random() < 0.2:
            raise ValueError(word())
        time.sleep(0.01)

    def work() -> None:
        scheduler = BackgroundScheduler(timezone="UTC")
        scheduler.start()
        for number in range(8):
            made = scheduler.add_job(
                job,
                "interval",
                seconds=0.005 if number % 2 else 0.05,
                name=f"{word()} {number}",
                id=word(),
                misfire_grace_time=1,
            )
            if number % 3 == 0:
                scheduler.pause_job(made.id)
                scheduler.reschedule_job(made.id, trigger="interval", seconds=0.1)
        time.sleep(0.3)
        with suppress(Exception):
            scheduler.remove_job(word())
        scheduler.remove_all_jobs()
        scheduler.shutdown()

    until_full(kept, work)


def celery(kept: Kept) -> None:
    import celery as made
    import celery.signals
    from celery.contrib.testing.worker import start_worker

    app = made.Celery("shop", broker="memory://", backend="cache+memory://")
    made.signals.setup_logging.connect(lambda **_: None, weak=False)

    @app.task(bind=True, name="shop.charge", max_retries=2)
    def charge(self: Any, order: int, name: str) -> str:
        if order % 5 == 0:
            raise self.retry(exc=ValueError(f"no card of {name}"), countdown=0.01)
        if order % 7 == 0:
            raise KeyError(name)
        if order % 11 == 0:
            raise made.exceptions.Ignore
        return name * 2

    @app.task(name="shop.mail")
    def mail(to: str) -> int:
        return len(to)

    with start_worker(app, pool="solo", perform_ping_check=False, loglevel="DEBUG"):
        until_full(
            kept,
            lambda: (
                charge.delay(chance.randint(1, 999), word()),
                mail.delay(f"{word()}@example.com"),
                app.send_task(f"shop.{word()}"),
                time.sleep(0.02),
            ),
        )


def pip(kept: Kept) -> None:
    """Runs pip as a program: wheels of our making, from a folder, with conflicts."""
    import zipfile

    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory, "wheels")
        folder.mkdir()
        names = [word() for _ in range(12)]
        for name in names:
            for version in ("1.0", "1.1", "2.0"):
                needs = chance.choice(names)
                with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
                    info = f"{name}-{version}.dist-info"
                    asked = f"Requires-Dist: {needs}{chance.choice(['', '>1', '<2', '==1.1'])}\n"
                    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
                    wheel.writestr(f"{name}.py", "")
                    wheel.writestr(f"{info}/METADATA", about + (asked if needs != name else ""))
                    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
                    wheel.writestr(f"{info}/RECORD", "")
        code = (
            "import sys, json, logging; sys.path.insert(0, sys.argv[1]); import recording;"
            "kept = recording.Kept(); from pip._internal.utils import _log;"
            "_log.init_logging(); root = logging.getLogger();"
            "import pip._internal.utils.logging as l; real = l.setup_logging;\n"
            "def setup(*a, **k):\n    r = real(*a, **k); root.setLevel(1); root.addHandler(kept); "
            "kept.setLevel(1); return r\n"
            "l.setup_logging = setup; import pip._internal.cli.base_command as b;"
            "b.setup_logging = setup; from pip._internal.cli.main import main\n"
            "try:\n    main(sys.argv[2:])\nfinally:\n    json.dump(kept.lines, sys.stderr)\n"
        )
        for round_number in range(40):
            if len(kept.lines) >= LINES:
                break
            target = str(Path(directory, f"site{round_number % 3}"))
            common = ["--no-index", "--find-links", str(folder), "--no-input", "-vv"]
            asked = chance.sample(names, 3)
            verb = chance.choice(
                [["install", "--target", target, *common], ["download", "-d", target, *common]]
            )
            asked[0] += chance.choice(["", ">1.0", "==3", "<2"])
            done = subprocess.run(
                [sys.executable, "-c", code, str(Path(__file__).parent), *verb, *asked],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            )
            with suppress(ValueError):
                kept.lines += json.loads(done.stderr[done.stderr.index('[["') :])
        del kept.lines[LINES:]


SYSTEMS = (
    ("SQLAlchemy", ["sqlalchemy"], sqlalchemy),
    ("tornado", ["tornado"], web),
    ("urllib3", ["urllib3"], web),
    ("paramiko", ["paramiko"], paramiko),
    ("aiosmtpd", ["mail"], aiosmtpd),
    ("websockets", ["websockets"], websockets),
    ("APScheduler", ["apscheduler"], apscheduler),
    ("Celery", ["celery", "kombu"], celery),
    ("pyftpdlib", ["pyftpdlib"], pyftpdlib),
    ("pip", [], pip),
)

if __name__ == "__main__":
    main()
