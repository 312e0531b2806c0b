"""dlt: one resource of Arrow tables, merged by its key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"

import dlt
import numpy
import pyarrow
from fetched import ARRAYS, charts
from task import DATABASE


async def tables() -> list[pyarrow.Table]:
    made = []
    async for coin, body in charts():
        prices, caps, volumes = (numpy.array(body[name], dtype="f8") for name in ARRAYS)
        columns = {
            "coin_id": pyarrow.array([coin] * len(prices)),
            "ts": pyarrow.array(prices[:, 0].astype("i8"), pyarrow.timestamp("ms", "UTC")),
            "price": prices[:, 1],
            "market_cap": caps[:, 1],
            "volume": volumes[:, 1],
        }
        made.append(pyarrow.table(columns))
    return made


@dlt.resource(name="point", primary_key=("coin_id", "ts"), write_disposition="merge")
def points() -> Iterator[pyarrow.Table]:
    yield from asyncio.run(tables())


pipeline = dlt.pipeline(
    "points",
    pipelines_dir=os.environ["BENCH_SCRATCH"],
    destination=dlt.destinations.postgres(DATABASE),
    dataset_name="public",
)
pipeline.run(points())
