"""The scores of all the flights of 2013 are those that plain pandas computes."""

from __future__ import annotations

import shutil
from pathlib import Path

import cut_sample
import pandas as pd
from o_brien_s_flights_b import cli, tasks
from o_brien_s_flights_b.compose import salts


def expected(raw: Path, min_flights: int) -> pd.DataFrame:
    """The scores by plain pandas, from the same files."""
    flights = pd.concat([pd.read_csv(path) for path in sorted(raw.glob("flights/*.csv"))])
    airports = pd.read_csv(raw / "airports" / "airports.csv").set_index("faa")
    delays = flights.dropna(subset=["arr_delay"]).groupby("dest")["arr_delay"]
    scores = pd.DataFrame({"flights": delays.size(), "mean_delay": delays.mean()})
    scores["on_time"] = 1 - delays.apply(lambda delay: (delay >= 15).mean())
    scores["score"] = (100 * scores["on_time"] - scores["mean_delay"].clip(lower=0)).clip(lower=0)
    scores = scores[scores["flights"] >= min_flights].join(airports[["name", "lat", "lon"]])
    scores = scores.reset_index().sort_values(["score", "dest"], ascending=[False, True])
    return scores[tasks.schemas.AIRPORT_SCORES.names].reset_index(drop=True)


def computed() -> pd.DataFrame:
    salts.forget()
    frame = tasks.AirportScores().output().read_dask().compute().reset_index(drop=True)
    plain = {"dest": object, "name": object, "flights": "int64"}
    floats = dict.fromkeys(["lat", "lon", "mean_delay", "on_time", "score"], float)
    return frame.astype(plain | floats).fillna({"name": ""})


def assert_equal(raw: Path) -> int:
    frame = computed()
    wanted = expected(raw, 10).astype({"dest": object, "name": object}).fillna({"name": ""})
    pd.testing.assert_frame_equal(frame, wanted, rtol=1e-12, check_column_type=False)
    return int(frame["flights"].sum())


def test_all_flights_and_then_a_day_more_are_scored_as_by_pandas(sample: Path) -> None:
    shutil.rmtree(sample / "flights")
    header, *rows = cut_sample.flights()
    last = [row for row in rows if row.startswith("2013,12,31,")]
    rest = [row for row in rows if not row.startswith("2013,12,31,")]
    assert (len(rows), len(last)) == (336_776, 776)
    cut_sample.write(sample / "flights" / "2013.csv", [header, *rest])
    assert cli.main([]) == 0
    before = assert_equal(sample)
    cut_sample.write(sample / "flights" / "2013-12-31.csv", [header, *last])
    salts.forget()
    assert cli.main([]) == 0
    assert before < assert_equal(sample) <= before + 776
