"""The families of faults, and who is to be named for each.

The thresholds of the rankers were fixed before the second half was written.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A fault of the shop.

    Attributes:
        expected: Roles of which one must be named first; empty for nobody.
        about: Role of the service that the alert is about.
        apart: A role that runs in a process of its own, which the fault hits.
        signal: What that process gets: "kill", "stop" or nothing.
    """

    name: str
    what: str
    expected: tuple[str, ...] = ()
    about: str = "box"
    apart: str = ""
    signal: str = ""


FIRST_HALF = (
    Family(name="exception", what="four of ten charges raise", expected=("bank",)),
    Family(name="early-return", what="half of the seats are not held", expected=("seats",)),
    Family(name="swallowed", what="an error is logged and passed over", expected=("prices",)),
    Family(name="wrong-status", what="half of the cards are refused", expected=("bank",)),
    Family(name="extra-queries", what="a query for each seat", expected=("seats",)),
    Family(name="slow-code", what="charging takes 0.3 s longer", expected=("bank",)),
    Family(name="down", what="the bank is gone", expected=("bank",), apart="bank", signal="kill"),
    Family(name="short-timeout", what="waits 8 ms for the bank", expected=("box",)),
    Family(name="call-loop", what="asks eight times for a price", expected=("box",)),
    Family(name="harmless-deploy", what="a new version logs a new warning"),
    Family(name="surge", what="two and a half times the customers"),
    Family(name="calm", what="nothing"),
)

SECOND_HALF = (
    Family(
        name="frozen", what="the bank is stopped", expected=("bank",), apart="bank", signal="stop"
    ),
    Family(name="busy-loop", what="seats burn 0.1 s of CPU", expected=("seats",), apart="seats"),
    Family(name="consumer", what="half of the mails fail", expected=("mailer",), about="mailer"),
    Family(name="network", what="0.15 s on the way to prices", expected=("prices",)),
    Family(name="locked", what="somebody holds the database", expected=("sqlite",)),
    Family(name="bad-deploy", what="a new version raises", expected=("prices",)),
    Family(name="slow-branch", what="one of two parallel calls is slow", expected=("seats",)),
    Family(name="rare-path", what="rates refuse, one request in ten", expected=("rates",)),
    Family(name="one-instance", what="one of two instances raises", expected=("bank",)),
)

FAMILIES = FIRST_HALF + SECOND_HALF
