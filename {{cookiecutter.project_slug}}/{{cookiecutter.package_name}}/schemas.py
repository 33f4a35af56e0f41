"""EDIT. The schema of each dataset: raw files are parsed by it, stages are held to it."""

import pyarrow as pa

# Departures from New York, one row a flight; delays in minutes, negative when early.
RAW_FLIGHTS = pa.schema(
    [
        ("time_hour", pa.timestamp("us", "UTC")),  # the scheduled hour of departure
        ("carrier", pa.string()),
        ("flight", pa.int32()),
        ("origin", pa.string()),
        ("dest", pa.string()),
        ("arr_delay", pa.float64()),  # null: cancelled or diverted
    ]
)

RAW_AIRPORTS = pa.schema(
    [
        ("faa", pa.string()),
        ("name", pa.string()),
        ("lat", pa.float64()),  # degrees north
        ("lon", pa.float64()),  # degrees east
    ]
)

# The flights that arrived.
CLEAN_FLIGHTS = RAW_FLIGHTS.append(pa.field("late", pa.bool_()))

# One row a destination, best first; an airport that nobody located has no name and place.
AIRPORT_SCORES = pa.schema(
    [
        ("dest", pa.string()),
        ("name", pa.string()),
        ("lat", pa.float64()),
        ("lon", pa.float64()),
        ("flights", pa.int64()),
        ("mean_delay", pa.float64()),  # minutes
        ("on_time", pa.float64()),  # share, 0 to 1
        ("score", pa.float64()),  # 0 (worst) to 100
    ]
)
