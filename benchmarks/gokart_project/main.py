"""The sample of flights, cleaned by a task of gokart."""

from pathlib import Path

import gokart
import luigi
import pandas as pd

TYPES = {
    "carrier": "string",
    "flight": "int32",
    "origin": "string",
    "dest": "string",
    "arr_delay": "float64",
}


class CleanFlights(gokart.TaskOnKart):
    source = luigi.Parameter()

    def output(self):
        return self.make_target("clean_flights.parquet")

    def run(self):
        days = [
            pd.read_csv(
                path,
                dtype=TYPES,
                usecols=["time_hour", *TYPES],
                na_values=["NA"],
                parse_dates=["time_hour"],
            )
            for path in sorted(Path(self.source, "flights").glob("*.csv"))
        ]
        raw = pd.concat(days, ignore_index=True)
        arrived = raw[raw["arr_delay"].notnull()]
        self.dump(arrived.assign(late=arrived["arr_delay"] >= 15))


if __name__ == "__main__":
    gokart.run()
