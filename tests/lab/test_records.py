"""Records of runs, and questions to them."""

import re

import pytest

from groundup.lab.errors import UserError
from groundup.lab.records import RECORD, Record, new_run_id, query, runs_directory


@pytest.fixture
def runs(tmp_path):
    for name, losses in (("tour-1", [3.0, 2.0, 1.5]), ("tour-2", [3.0, 1.0])):
        record = Record.open(tmp_path / name)
        for step, loss in enumerate(losses, 1):
            record.add("train", step, loss=loss, lr=0.1)
        record.add("bm25", ndcg_at_10=0.9)
        record.add("test", ndcg_at_10=0.1 * len(losses))
        record.save()
    return tmp_path


def test_sql_over_all_runs(runs):
    columns, rows = query(
        runs,
        "SELECT run, count(*) AS n, min(value) AS best FROM records "
        "WHERE metric = 'loss' GROUP BY run ORDER BY best",
    )
    assert columns == ["run", "n", "best"]
    assert rows == [("tour-2", 2, 1.0), ("tour-1", 3, 1.5)]


def test_the_summary_leaves_the_baseline_out(runs):
    columns, rows = query(runs)
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    assert [f["run"] for f in found] == ["tour-1", "tour-2"]
    assert [f["measurements"] for f in found] == [8, 6]
    assert [f["stages"] for f in found] == [3, 3]
    assert [f["best_ndcg"] for f in found] == pytest.approx([0.3, 0.2])


def test_an_opened_record_goes_on(runs):
    record = Record.open(runs / "tour-1")
    assert record.run == "tour-1"
    record.add("train", 4, loss=0.5)
    assert query(runs, "SELECT count(*) FROM records WHERE run = 'tour-1'")[1] == [(8,)]
    record.save()
    sql = "SELECT step, value FROM records WHERE run = 'tour-1' AND metric = 'loss' ORDER BY step"
    assert query(runs, sql)[1] == [(1, 3.0), (2, 2.0), (3, 1.5), (4, 0.5)]


def test_a_stage_is_forgotten(runs):
    record = Record.open(runs / "tour-1")
    record.drop("train")
    record.save()
    assert {row["stage"] for row in Record.open(runs / "tour-1").rows} == {"bm25", "test"}
    record.drop("bm25")
    record.drop("test")
    record.save()
    assert Record.open(runs / "tour-1").rows == []
    assert query(runs, "SELECT DISTINCT run FROM records")[1] == [("tour-2",)]


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT nothing FROM records", "SELECT * FROM record"])
def test_wrong_sql_is_an_error_of_the_caller(runs, sql):
    with pytest.raises(UserError, match="DuckDB could not"):
        query(runs, sql)


def test_an_empty_question_is_named(runs):
    with pytest.raises(UserError, match="no SQL statement"):
        query(runs, " ")


def test_a_question_reads_and_writes_no_file(runs, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for sql in (
        f"SELECT * FROM read_csv('{secret}')",
        f"COPY records TO '{tmp_path / 'out.csv'}'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(UserError):
            query(runs, sql)
    assert not (tmp_path / "out.csv").exists()


def test_no_run_and_a_damaged_run_are_named(tmp_path):
    with pytest.raises(UserError, match="no run has been recorded"):
        query(tmp_path)
    with pytest.raises(UserError, match="no run has been recorded"):
        query(tmp_path / "missing")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / RECORD).write_text("junk")
    with pytest.raises(UserError, match=r"record\.parquet"):
        query(tmp_path)


def test_names_and_places(monkeypatch, tmp_path):
    assert re.fullmatch(r"tour-\d{8}-\d{6}", new_run_id("tour"))
    monkeypatch.setenv("GROUNDUP_RUNS", str(tmp_path))
    assert runs_directory() == tmp_path
    monkeypatch.delenv("GROUNDUP_RUNS")
    assert str(runs_directory()) == "runs"
