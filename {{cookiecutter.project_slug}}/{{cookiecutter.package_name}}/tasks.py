"""EDIT. The graph: what each task requires and where it writes. Its logic is in transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import luigi
from luigi.format import UTF8

from . import schemas, transforms
from .compose import (
    CSVTarget,
    ExternalData,
    Requirement,
    Requires,
    SaltedOutput,
    Stage,
    TargetOutput,
)

if TYPE_CHECKING:
    import dask.dataframe as dd


class RawFlights(ExternalData):
    schema = schemas.RAW_FLIGHTS
    null_values = ("NA",)
    output = TargetOutput("raw/flights", target_class=CSVTarget, flag=None)


class RawAirports(ExternalData):
    schema = schemas.RAW_AIRPORTS
    null_values = ("NA",)
    output = TargetOutput("raw/airports", target_class=CSVTarget, flag=None)


class CleanFlights(Stage):
    schema = schemas.CLEAN_FLIGHTS
    raw = Requirement(RawFlights)

    def transform(self, raw: dd.DataFrame) -> dd.DataFrame:
        return transforms.clean_flights(raw)


class AirportScores(Stage):
    min_flights: luigi.IntParameter = luigi.IntParameter(
        default=10, description="leave out destinations with fewer flights"
    )
    schema = schemas.AIRPORT_SCORES
    flights = Requirement(CleanFlights)
    airports = Requirement(RawAirports)

    def transform(self, flights: dd.DataFrame, airports: dd.DataFrame) -> dd.DataFrame:
        return transforms.score_airports(flights, airports, self.min_flights)


class ScoreReport(luigi.Task):
    min_flights: luigi.IntParameter = luigi.IntParameter(default=10)
    requires = Requires()
    scores = Requirement(AirportScores)
    output: Any = SaltedOutput(ext=".html", format=UTF8)

    def run(self) -> None:
        scores = self.scores.output()
        with self.output().open("w") as file:
            file.write(transforms.score_page(scores.read_dask().compute(), scores.manifest()))


class Pipeline(luigi.WrapperTask):
    min_flights: luigi.IntParameter = luigi.IntParameter(
        default=10, description="leave out destinations with fewer flights"
    )
    requires = Requires()
    raw_flights = Requirement(RawFlights)
    raw_airports = Requirement(RawAirports)
    flights = Requirement(CleanFlights)
    scores = Requirement(AirportScores)
    report = Requirement(ScoreReport)
