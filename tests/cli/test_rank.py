"""`sensus rank` on small collections in every format."""

import gzip
import json
from pathlib import Path

import pytest

from cli.commands.rank import rank
from cli.problem import Problem
from cli.rank.incidents import find_incidents
from cli.rank.incidents.callgraphs import read_graph
from tests.cli.incident_collections import (
    T0,
    call_graph_collection,
    change_collection,
    noisy,
    put,
    put_table,
    trace_collection,
)
from tests.cli.test_commands import sensus


def ranked(directory: Path, **options: bool) -> dict[str, list[str]]:
    """What the command writes."""
    out = directory.parent / "out" / "ranks.json"
    rank(incidents=directory, out=out, **options)
    found: dict[str, list[str]] = json.loads(out.read_text())
    return found


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    """A directory with all three formats, and labels that must not be opened."""
    root = tmp_path / "rca"
    call_graph_collection(root / "graphs")
    trace_collection(root / "traces")
    change_collection(root / "changes")
    labels = root / "labels" / "incidents" / "trap"
    labels.mkdir(parents=True)
    (labels / "incident.json").write_text("not to be read")
    return root


def test_every_format_is_found_and_ranked(collections: Path) -> None:
    found = ranked(collections)
    assert found["i1"][0] == "db"
    assert found["d1"][0] == "cart"
    assert found["c1"] == ["abc"]
    assert set(found) == {"i1", "d1", "c1"}


def test_the_same_incidents_give_the_same_bytes(collections: Path) -> None:
    written = []
    for _ in range(2):
        ranked(collections)
        written.append((collections.parent / "out" / "ranks.json").read_bytes())
    assert written[0] == written[1]


def test_a_change_that_explains_nothing_gives_an_empty_list(tmp_path: Path) -> None:
    change_collection(tmp_path / "rca", diff="-a\n+b")
    assert ranked(tmp_path / "rca") == {"c1": []}


def test_named_only_leaves_out_whom_nothing_speaks_against(collections: Path) -> None:
    """The incident in a set whose window shows nothing has no name to give."""
    incident = collections / "graphs" / "incidents" / "i1"
    calm = [["time", "db|latency|Average"], *([T0 + i * 300, noisy(10)] for i in range(5))]
    put_table(incident / "window.csv.gz", calm)
    assert ranked(collections / "graphs", named_only=True) == {"i1": []}
    assert ranked(collections / "graphs")["i1"] != []


def test_calls_are_read_whichever_way_they_are_listed(tmp_path: Path) -> None:
    """`db` alerts once, too, but what alerts more often tells where callers are."""
    for number, pair in enumerate((["shop", "db"], ["db", "shop"])):
        path = tmp_path / str(number) / "graph.json"
        put(path, {"edges_cause_to_effect": [pair]})
        graph = read_graph(path, alerting=("shop", "db", "shop"))
        assert graph.callees("shop") == ["db"]


def test_a_day_without_traces_and_logs_is_ranked(collections: Path) -> None:
    (collections / "traces" / "2023-11-14" / "trace_edges.csv.gz").unlink()
    (incident,) = find_incidents(collections / "traces")
    assert {w.service for w in incident.case.series} == {"front", "cart", ""}


def test_a_missing_directory_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="there is no such directory"):
        ranked(tmp_path / "nowhere")


def test_a_directory_without_incidents_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no incident of a known format below it"):
        ranked(tmp_path)


def test_a_day_without_metrics_is_ranked_by_its_traces(collections: Path) -> None:
    (collections / "traces" / "2023-11-14" / "metrics_full.csv.gz").unlink()
    assert ranked(collections)["d1"][0] == "cart"


INCIDENT = "graphs/incidents/i1/incident.json"
WINDOW = "graphs/incidents/i1/window.csv.gz"
DAY = "traces/2023-11-14"
CHANGE = "changes/incidents/c1"


@pytest.mark.parametrize(
    ("place", "content", "reason"),
    [
        (INCIDENT, "{", "Input data was truncated"),
        (INCIDENT, "{}", "missing required field"),
        (INCIDENT, '{"id": 1}', "Expected `str`"),
        ("graphs/quiet/graph.json", '{"edges_cause_to_effect": [["a"]]}', "length 2"),
        (WINDOW, "", "no column 'time'"),
        (WINDOW, "time,a|b|c\n", "no samples in it"),
        (WINDOW, "time,a|b|c\n1\n", "line 2 has 1 cells, the header 2"),
        (WINDOW, "time,a|b|c\n1,many\n", "line 2: could not convert string to float: 'many'"),
        (WINDOW, "time,a|b|c\n1e300,1\n", "not in Unix seconds"),
        (f"{DAY}/incidents.json", '{"incidents": [{"id": "d1"}]}', "inject_time"),
        (f"{DAY}/incidents.json", '{"incidents": [{"id": "d1", "inject_time": 1e300}]}', "<="),
        (f"{DAY}/trace_edges.csv.gz", "minute,service\n00:01,a\n", "no column 'parent_service'"),
        (f"{DAY}/log_counts.csv.gz", "minute,service,lines,err\nnoon,a,1,1\n", "'noon' is no min"),
        (f"{CHANGE}/alert.json.gz", "[]", "Expected `object`"),
        (f"{CHANGE}/metrics.csv.gz", "timestamp,service,metric,value\nnow,a,b,1\n", "ISO 8601"),
        (f"{CHANGE}/context_flags.json.gz", '[{"flag": "f", "timestamp": "x"}]', "ISO 8601"),
        (f"{CHANGE}/patterns.json.gz", '[{"signature": "s", "count": "many"}]', "many"),
    ],
)
def test_a_damaged_file_is_named(collections: Path, place: str, content: str, reason: str) -> None:
    file = collections / place
    data = content.encode()
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    with pytest.raises(Problem) as caught:
        ranked(collections)
    assert str(caught.value).startswith(str(file))
    assert reason in str(caught.value)


def test_a_file_cut_short_is_named(collections: Path) -> None:
    file = collections / WINDOW
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(Problem, match=r"window\.csv\.gz: "):
        ranked(collections)


def test_what_an_incident_names_must_be_there(collections: Path) -> None:
    (collections / "graphs/quiet/normal.csv.gz").unlink()
    with pytest.raises(Problem, match=r"names quiet/normal\.csv\.gz, which is nowhere above it"):
        ranked(collections)


def test_an_incident_can_be_named_from_where_it_lies(
    collections: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(collections / "graphs/incidents")
    rank(incidents=Path("i1"), out=Path("ranks.json"))
    assert json.loads(Path("ranks.json").read_text())["i1"][0] == "db"


def test_ranks_that_cannot_be_written_are_a_problem(collections: Path) -> None:
    (collections.parent / "out").write_text("in the way")
    with pytest.raises(Problem, match="--out"):
        ranked(collections)


def test_the_others_are_ranked_when_one_is_damaged(collections: Path) -> None:
    damaged = collections / "graphs/incidents/i0/incident.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    (collections / DAY / "incidents.json").write_text("[]")
    with pytest.raises(Problem) as caught:
        ranked(collections)
    out = collections.parent / "out" / "ranks.json"
    written = json.loads(out.read_text())
    assert (written["i1"][0], written["c1"], len(written)) == ("db", ["abc"], 2)
    first, second, last = str(caught.value).splitlines()
    assert first.startswith(f"{damaged}: Input data was truncated")
    assert second.startswith(f"{collections / DAY / 'incidents.json'}: Expected `object`")
    assert last == f"left out what is named above; the other 2 are in {out}"


def test_nothing_is_written_when_all_is_damaged(collections: Path) -> None:
    (collections / INCIDENT).write_text("{")
    with pytest.raises(Problem, match=r"ranks\.json is not written"):
        ranked(collections / "graphs")
    assert not (collections / "out").exists()


def test_incidents_of_the_same_id_are_named_and_left_out(collections: Path) -> None:
    call_graph_collection(collections / "more graphs")
    with pytest.raises(Problem) as caught:
        ranked(collections)
    found = [
        collections / part / "incidents/i1/incident.json" for part in ("graphs", "more graphs")
    ]
    assert str(caught.value).startswith(f"{found[0]} and {found[1]}: these are all incident 'i1'")
    written = json.loads((collections.parent / "out" / "ranks.json").read_text())
    assert set(written) == {"c1", "d1"}


def test_an_incident_that_breaks_a_ranker_is_named(
    collections: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(case: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr("cli.commands.rank.rank_changes", breaks)
    with pytest.raises(Problem, match=r"incident 'c1' cannot be ranked: ZeroDivisionError\(\)"):
        ranked(collections)
    written = json.loads((collections.parent / "out" / "ranks.json").read_text())
    assert set(written) == {"i1", "d1"}


async def test_what_is_damaged_is_told_on_stderr_with_status_1(
    collections: Path, tmp_path: Path
) -> None:
    (collections / INCIDENT).write_text("{")
    out = tmp_path / "ranks.json"
    status, output, errors = await sensus("rank", "--incidents", collections, "--out", out)
    assert (status, output) == (1, f"2 incidents ranked into {out}\n")
    assert errors.startswith(f"sensus: {collections / INCIDENT}: Input data was truncated")
    assert set(json.loads(out.read_text())) == {"c1", "d1"}
