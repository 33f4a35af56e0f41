"""One pipeline of one node."""

import pandas as pd
from kedro.pipeline import Pipeline, node


def clean(days):
    raw = pd.concat([load() for _, load in sorted(days.items())], ignore_index=True)
    arrived = raw[raw["arr_delay"].notnull()]
    return arrived.assign(late=arrived["arr_delay"] >= 15)


def register_pipelines():
    return {"__default__": Pipeline([node(clean, "raw_flights", "clean_flights")])}
