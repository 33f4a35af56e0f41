"""A pipeline in the idiom of the course, of which only the imports were changed."""

from __future__ import annotations

import json
from pathlib import Path

import luigi
import pandas as pd
import pyarrow.parquet as pq
from luigi import ExternalTask, Parameter, Task
from o_brien_s_flights_b.compose import (
    CSVTarget,
    ParquetTarget,
    Requirement,
    Requires,
    SaltedOutput,
    TargetOutput,
)


class YelpReviews(ExternalTask):
    __version__ = "0.1.0"

    output = TargetOutput(
        file_pattern="raw/yelp", target_class=CSVTarget, ext="", flag=None, glob="*.csv"
    )


class CleanedReviews(Task):
    __version__ = "0.2.0"
    subset = luigi.BoolParameter(default=True)

    requires = Requires()
    other = Requirement(YelpReviews)
    output = SaltedOutput(
        file_pattern="{task.__class__.__name__}-{salt}", target_class=ParquetTarget, ext=""
    )

    def run(self):
        numbers = ["funny", "cool", "useful", "stars"]
        reviews = self.input()["other"].read_dask(dtype=dict.fromkeys(numbers, "float64"))
        reviews = reviews[reviews["review_id"].str.len() == 22].set_index("review_id")
        reviews[numbers] = reviews[numbers].fillna(0).astype(int)
        self.output().write_dask(reviews, compression="gzip")


class ByStars(Task):
    __version__ = "0.1.0"
    measure = Parameter(default="useful")

    requires = Requires()
    other = Requirement(CleanedReviews)
    output = SaltedOutput(
        file_pattern="{task.__class__.__name__}-{salt}", target_class=ParquetTarget, ext=""
    )

    def run(self):
        reviews = self.input()["other"].read_dask(columns=["stars", self.measure])
        means = reviews.groupby("stars")[[self.measure]].mean()
        self.output().write_dask(means, compression="gzip")


REVIEWS = [
    f"review_id,stars,useful,funny,cool\n{'a' * 22},5,1,0,\n{'b' * 22},5,,2,1\nshort,1,9,9,9\n",
    f"review_id,stars,useful,funny,cool\n{'c' * 22},3,4,0,0\n",
]


def test_the_pipeline_of_the_course_runs(data_root: Path) -> None:
    raw = data_root / "raw" / "yelp"
    raw.mkdir(parents=True)
    for number, text in enumerate(REVIEWS):
        (raw / f"{number}.csv").write_text(text)
    task = ByStars()
    assert luigi.build([task], local_scheduler=True)
    cleaned = task.other.output().read_dask().compute()
    assert cleaned.index.tolist() == ["a" * 22, "b" * 22, "c" * 22]
    assert cleaned["useful"].tolist() == [1, 0, 4]
    result = task.output().read_dask().compute().sort_index()  # groupby promises no order
    pd.testing.assert_series_equal(
        result["useful"],
        pd.Series([4.0, 0.5], [3, 5], name="useful"),
        check_index_type=False,
        check_names=False,
    )
    assert task.output().path == f"{data_root}/ByStars-{task.output().salt}"
    manifest = json.loads(Path(task.output().path, "_SUCCESS").read_text())
    versions = {document["task"]: document["version"] for document in manifest["lineage"].values()}
    assert versions == {"ByStars": "0.1.0", "CleanedReviews": "0.2.0", "YelpReviews": "0.1.0"}
    part = pq.read_metadata(task.output().files()[0])
    assert part.row_group(0).column(0).compression == "GZIP"


def test_the_outputs_of_the_course_are_found_again(data_root: Path) -> None:
    test_the_pipeline_of_the_course_runs(data_root)
    assert ByStars().complete()
    assert ByStars(measure="funny").complete() is False
