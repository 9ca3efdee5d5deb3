"""What a run measured: one Parquet file a run, asked with SQL."""

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from groundup.lab.errors import UserError
from groundup.lab.files import atomic_file

RECORD = "record.parquet"


def runs_directory() -> Path:
    """Where runs are kept: the environment's GROUNDUP_RUNS, or ``runs`` in this folder."""
    return Path(os.environ.get("GROUNDUP_RUNS", "runs"))


def new_run_id(command: str) -> str:
    """A name that sorts by time: ``tour-20260131-174500``."""
    return f"{command}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


@dataclass
class Record:
    """Measurements of one run, as rows (run, time, stage, step, metric, value).

    Rows gather in memory; :meth:`save` replaces the file as a whole. A record that is opened
    again goes on from the rows on disk.
    """

    run: str
    directory: Path
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, directory: Path) -> "Record":
        """The record of a run's directory, with the rows it already has."""
        record = cls(directory.name, directory)
        if (directory / RECORD).exists():
            import pyarrow.parquet as parquet

            record.rows = parquet.read_table(directory / RECORD).to_pylist()
        return record

    def add(self, stage: str, step: int = 0, **metrics: float) -> None:
        """Note some numbers of a stage at a step."""
        now = time.time()
        for name, value in metrics.items():
            row = {"run": self.run, "time": now, "stage": stage, "step": step}
            self.rows.append({**row, "metric": name, "value": float(value)})

    def drop(self, stage: str) -> None:
        """Forget a stage's rows: it is about to be run again."""
        self.rows = [row for row in self.rows if row["stage"] != stage]

    def save(self) -> None:
        """Write all rows, atomically."""
        import pyarrow
        import pyarrow.parquet as parquet

        schema = pyarrow.schema(
            [
                ("run", pyarrow.string()),
                ("time", pyarrow.float64()),
                ("stage", pyarrow.string()),
                ("step", pyarrow.int64()),
                ("metric", pyarrow.string()),
                ("value", pyarrow.float64()),
            ]
        )
        with atomic_file(self.directory / RECORD) as temporary:
            parquet.write_table(pyarrow.Table.from_pylist(self.rows, schema), temporary)


SUMMARY = """
SELECT run, strftime(to_timestamp(min(time)), '%Y-%m-%d %H:%M') AS started,
       round(max(time) - min(time)) AS seconds, count(DISTINCT stage) AS stages,
       count(*) AS measurements,
       round(max(value) FILTER (metric = 'ndcg_at_10' AND stage NOT IN ('bm25')), 3) AS best_ndcg
FROM records GROUP BY run ORDER BY min(time)
"""


def query(directory: Path, sql: str = SUMMARY) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Ask all records with SQL (DuckDB); they are one table named ``records``.

    Args:
        directory: where the runs are.
        sql: for example ``SELECT * FROM records WHERE metric = 'loss'``.

    Returns:
        The column names, and the rows.

    Raises:
        UserError: there is no record, one is damaged, or the SQL is wrong.
    """
    import duckdb

    files = sorted(directory.glob(f"*/{RECORD}"))
    if not files:
        raise UserError(f"no run has been recorded in {directory}/; `groundup tour` makes one")
    connection = duckdb.connect()
    try:
        connection.execute(
            "CREATE TABLE records AS SELECT * FROM read_parquet(?)", [[str(f) for f in files]]
        )
        connection.execute("SET enable_external_access = false")  # a question touches no file
        result = connection.execute(sql)
        if result is None:
            raise UserError("there is no SQL statement to run")
        return [column[0] for column in result.description or ()], result.fetchall()
    except duckdb.Error as error:
        raise UserError(f"DuckDB could not do this: {str(error).splitlines()[0]}") from error
