"""What the transforms do to three rows, and that it does not matter how the rows are cut."""

from __future__ import annotations

from typing import Any

import pytest

from {{ cookiecutter.package_name }} import schemas, transforms

FLIGHTS: list[dict[str, Any]] = [
    {"carrier": "UA", "flight": 1, "origin": "EWR", "dest": "IAH", "arr_delay": 14.0},
    {"carrier": "AA", "flight": 2, "origin": "JFK", "dest": "MIA", "arr_delay": 15.0},
    {"carrier": "B6", "flight": 3, "origin": "JFK", "dest": "BQN", "arr_delay": None},
]
CLEAN: list[dict[str, Any]] = [
    {"dest": "IAH", "arr_delay": 20.0, "late": True},
    {"dest": "IAH", "arr_delay": -10.0, "late": False},
    {"dest": "BQN", "arr_delay": -4.0, "late": False},
]
AIRPORTS = [{"faa": "IAH", "name": "George Bush", "lat": 29.98, "lon": -95.34}]


def records(result: Any) -> list[dict[str, Any]]:
    cells = result.compute().astype(object)
    return cells.where(cells.notnull(), None).to_dict("records")


def test_flights_that_did_not_arrive_are_left_out_and_late_begins_at_15_minutes(frame):
    clean = transforms.clean_flights(frame(schemas.RAW_FLIGHTS, FLIGHTS))
    assert [(row["dest"], row["late"]) for row in records(clean)] == [("IAH", False), ("MIA", True)]


def test_airports_are_scored_best_first_also_where_nobody_located_them(frame):
    flights = frame(schemas.CLEAN_FLIGHTS, CLEAN)
    airports = frame(schemas.RAW_AIRPORTS, AIRPORTS)
    best, worst = records(transforms.score_airports(flights, airports, min_flights=1))
    assert (best["dest"], best["name"], best["score"]) == ("BQN", None, 100.0)
    assert worst == {
        "dest": "IAH",
        "name": "George Bush",
        "lat": 29.98,
        "lon": -95.34,
        "flights": 2,
        "mean_delay": 5.0,
        "on_time": 0.5,
        "score": 45.0,
    }


def test_destinations_with_too_few_flights_are_left_out(frame):
    flights, airports = frame(schemas.CLEAN_FLIGHTS, CLEAN), frame(schemas.RAW_AIRPORTS, AIRPORTS)
    scores = transforms.score_airports(flights, airports, min_flights=2)
    assert [row["dest"] for row in records(scores)] == ["IAH"]


@pytest.mark.parametrize("partitions", [2, 5])  # of three rows: some of five are empty
def test_it_does_not_matter_how_the_flights_are_cut(frame, partitions):
    def both(cuts: int) -> tuple[list[Any], list[Any]]:
        clean = transforms.clean_flights(frame(schemas.RAW_FLIGHTS, FLIGHTS, cuts))
        flights = frame(schemas.CLEAN_FLIGHTS, CLEAN, cuts)
        airports = frame(schemas.RAW_AIRPORTS, AIRPORTS, cuts)
        return records(clean), records(transforms.score_airports(flights, airports, 1))

    assert both(partitions) == both(1)


def test_no_flights_give_no_scores(frame):
    flights, airports = frame(schemas.CLEAN_FLIGHTS, []), frame(schemas.RAW_AIRPORTS, AIRPORTS)
    assert records(transforms.score_airports(flights, airports, min_flights=1)) == []
