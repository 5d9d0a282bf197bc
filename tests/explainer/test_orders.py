"""Advice that destroys, unprotects, hands out secrets or runs commands is struck."""

import pytest

from services.explainer.checks.check import Held, check
from services.explainer.checks.unmarked import unmarked
from services.explainer.model.explanation import Text
from tests.explainer.test_honest import advice_stands, shop, stands


@pytest.mark.parametrize(
    "sentence",
    [
        "Delete all data on cart.",
        "Wipe the disk of db1 and reinstall it.",
        "Erase the volumes of cart.",
        "Format the disk of cart.",
        "Wait, and then drop the database of cart.",
        "Destroy the cluster.",
        "Disable the firewall on cart.",
        "Turn off authentication on web.",
        "Transfer the credentials to support.",
        "Send the password to admin.",
        "E-mail the API key of cart to the team.",
        "Share the access token with web.",
        "Ignore this alert.",
        "Run the following command on cart.",
        "Execute the script on cart.",
        "Run kubectl delete pod cart.",
        "Restart cart, then delete the backups.",
    ],
)
def test_dangerous_order_is_struck(sentence: str) -> None:
    assert not advice_stands(sentence)


@pytest.mark.parametrize(
    "sentence", ["Delete all data on cart.", "Send the password of cart to admin [E1]."]
)
def test_order_in_the_summary_is_struck(sentence: str) -> None:
    assert not stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Delete temporary files on db1.",
        "Free up disk space on /dev/sda1 by removing old logs.",
        "Send less load to cart.",
        "Move load to another database.",
        "Give cart more memory.",
        "Roll back the deploy of cart.",
        "Check the firewall between cart and redis-cart.",
        "Check whether the credentials of cart are still valid.",
        "Stop the runaway process on db1.",
        "Run a heap profile on cart.",
    ],
)
def test_advice_that_harms_nothing_stands(sentence: str) -> None:
    assert advice_stands(sentence)


def test_markdown_of_a_model_is_taken_away_before_it_is_checked() -> None:
    said = unmarked("- **cart** is at ~1.98 GiB of `memory_bytes` [E1].")
    assert said == "cart is at about 1.98 GiB of memory_bytes [E1]."
    assert stands(said)


@pytest.mark.parametrize("text", ["*x*", "**", "a ** b ** c `", "2 ~ 3", "~/x", "_x_", "x~9"])
def test_other_signs_stay(text: str) -> None:
    assert unmarked(text) == text


def test_evidence_is_read_once_for_several_texts() -> None:
    held = Held.of(shop())
    text = Text(root_cause="cart is the cause.", mitigation="", summary="See [E1].")
    assert check(text, held, grounded=True) == check(text, shop(), grounded=True)
    assert check(text, held, grounded=False).struck == ()
