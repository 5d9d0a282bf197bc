"""Words of log lines that vary without any sign of it."""

from collections.abc import Sequence

from services.ingest.otlp.logs import OtlpLogsReader
from services.ingest.otlp.variants import Variants
from tests.ingest.otlp.events import NOW_NS, logs


def texts(variants: Variants, lines: Sequence[str]) -> list[str]:
    """What each line is told as, once all are known."""
    placed = [variants.placed("shop", each) for each in lines]
    return [each.latest().pattern.text for each in placed]


def test_a_fourth_form_of_a_place_makes_it_a_variable_for_all_before_it() -> None:
    lines = [f"cannot charge {name} now" for name in ("ann", "bob", "eve")]
    assert texts(Variants(), lines) == lines
    assert texts(Variants(), [*lines, "cannot charge zoe now"]) == 4 * ["cannot charge <*> now"]


def test_two_places_that_vary_are_found_one_after_the_other() -> None:
    names = ("ann", "bob", "eve", "zoe")
    lines = [f"sent mail of {kind} to {name} today" for kind in names for name in names]
    variants = Variants()
    texts(variants, lines)
    new = ["sent mail of ann to max today", "sent mail of max to ann today"]
    assert texts(variants, new) == 2 * ["sent mail of <*> to <*> today"]


def test_the_first_word_and_lines_of_two_words_stay_as_they_are() -> None:
    lines = [f"{name} does not exist" for name in ("role", "table", "index", "schema", "view")]
    lines += [f"payment {how}" for how in ("refused", "lost", "late", "doubled", "unknown")]
    assert texts(Variants(), lines) == lines


def test_the_same_form_again_and_again_is_one() -> None:
    lines = 9 * ["cannot charge ann now", "cannot charge bob now"]
    assert texts(Variants(), lines) == lines


def test_services_learn_apart() -> None:
    variants = Variants()
    texts(variants, [f"cannot charge {name} now" for name in ("ann", "bob", "eve", "zoe")])
    assert variants.placed("bank", "cannot charge ann now").pattern.text == "cannot charge ann now"


def test_lines_that_came_before_get_the_id_of_the_later_ones() -> None:
    reader = OtlpLogsReader()

    def patterns(*lines: str) -> list[str]:
        body = logs(*({"body": each, "severity_number": 13} for each in lines)).SerializeToString()
        read = reader.read(body, NOW_NS)
        return [read.names.patterns[int(row["parent"])].text for row in read.rows]

    few = ["cannot charge ann now", "cannot charge bob now", "cannot charge eve now"]
    assert patterns(*few) == few
    assert patterns("cannot charge zoe now") == ["cannot charge <*> now"]
    assert patterns(*few) == 3 * ["cannot charge <*> now"]
