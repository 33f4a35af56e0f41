"""EDIT. What the stages do: pure functions of Dask frames, which return and never mutate."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from . import schemas

if TYPE_CHECKING:  # imported for the types alone, so that a run with nothing to do starts fast
    import dask.dataframe as dd
    import pandas as pd

STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
div { overflow-x: auto }
td, th { padding: 0.2rem 0.8rem; text-align: right }
td:nth-child(-n+2), th:nth-child(-n+2) { text-align: left }
"""
LATE = 15  # minutes; the US Department of Transportation counts a flight as late from here on


def clean_flights(raw: dd.DataFrame) -> dd.DataFrame:
    """Keep the flights that arrived and tell which were late.

    raw: `schemas.RAW_FLIGHTS`. Returns `schemas.CLEAN_FLIGHTS`. Source: BTS on-time table.
    """
    arrived = raw[raw["arr_delay"].notnull()]
    return arrived.assign(late=arrived["arr_delay"] >= LATE)


def score_airports(flights: dd.DataFrame, airports: dd.DataFrame, min_flights: int) -> dd.DataFrame:
    """Score each destination by how punctual its arrivals are.

    flights: `schemas.CLEAN_FLIGHTS`; airports: `schemas.RAW_AIRPORTS`. Returns
    `schemas.AIRPORT_SCORES`, best first, for destinations with `min_flights` or more. The score
    is the percentage on time, less one for each minute of mean delay, and never below 0.
    """
    totals: Any = flights.groupby("dest").agg(
        flights=("arr_delay", "count"), mean_delay=("arr_delay", "mean"), late=("late", "mean")
    )
    enough = totals[totals["flights"] >= min_flights].reset_index()
    scores = enough.assign(on_time=1 - enough["late"])
    penalty = scores["mean_delay"].clip(lower=0)
    scores = scores.assign(score=(100 * scores["on_time"] - penalty).clip(lower=0))
    located = scores.merge(airports, left_on="dest", right_on="faa", how="left")
    best_first = located.sort_values(["score", "dest"], ascending=[False, True])
    return best_first[schemas.AIRPORT_SCORES.names]


def score_page(scores: pd.DataFrame, manifest: dict[str, Any]) -> str:
    """The scores as one HTML page that needs nothing else: a map, a table and where it is from.

    scores: `schemas.AIRPORT_SCORES`; manifest: that of the dataset. Values are escaped.
    """
    table = scores.drop(columns=["lat", "lon"]).fillna({"name": "unknown"})
    table = table.to_html(index=False, border=0, float_format="{:.2f}".format)
    dots = "".join(
        f'<circle cx="{row["lon"]:.2f}" cy="{-row["lat"]:.2f}" r="0.7" '
        f'fill="hsl({1.2 * row["score"]:.0f} 75% 45%)">'
        f"<title>{escape(row['name'])}: {row['score']:.0f}</title></circle>"
        for row in scores.dropna().to_dict("records")
    )
    sources = ", ".join(sorted(d["task"] for d in manifest["lineage"].values()))
    versions = ", ".join(f"{name} {number}" for name, number in manifest["versions"].items())
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Airport scores</title>
<style>{STYLE}</style>
<h1>Airport scores</h1>
<p>How punctual arrivals are: 100 is best (green), 0 is worst (red).</p>
<svg viewBox="-160 -62 95 45" role="img" aria-label="Each airport on the map, by score">{dots}</svg>
<div>{table}</div>
<p>{manifest["rows"]} airports, made {escape(manifest["created"])} from {escape(sources)}
with {escape(versions)}.</p>
</html>
"""
