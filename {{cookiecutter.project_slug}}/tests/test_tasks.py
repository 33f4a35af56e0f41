"""How the tasks are wired, and that each stage gives what its schema says."""

from __future__ import annotations

import pytest

from {{ cookiecutter.package_name }} import schemas, tasks
from {{ cookiecutter.package_name }}.compose import conform

STAGES = [
    tasks.CleanFlights(),
    tasks.AirportScores(),
]
SCORE = {"dest": "IAH", "name": "<b>Bush</b>", "lat": 29.98, "lon": -95.34, "flights": 2}
SCORE |= {"mean_delay": 5.0, "on_time": 0.5, "score": 45.0}


def test_the_pipeline_requires_every_task_and_hands_its_parameter_on():
    required = tasks.Pipeline(min_flights=3).requires()
    assert required == {
        "raw_flights": tasks.RawFlights(),
        "raw_airports": tasks.RawAirports(),
        "flights": tasks.CleanFlights(),
        "scores": tasks.AirportScores(min_flights=3),
        "report": tasks.ScoreReport(min_flights=3),
    }


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_gives_the_columns_and_types_of_its_schema(stage, frame):
    frames = {name: frame(task.schema, []) for name, task in stage.requires().items()}
    conform.check_meta(stage.transform(**frames)._meta, stage.schema)


def test_the_report_shows_the_scores_and_escapes_them(frame):
    report = tasks.ScoreReport()
    report.scores.output().write_dask(frame(schemas.AIRPORT_SCORES, [SCORE]))
    report.run()
    with report.output().open() as file:
        page = file.read()
    assert "&lt;b&gt;Bush&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "45.00" in page
