"""By columns: numpy and polars from parsed bodies, ADBC's ingest (COPY) into a staging table, then one upsert."""

from __future__ import annotations

import asyncio

import adbc_driver_postgresql.dbapi
import numpy
import polars
from fetched import ARRAYS, charts
from task import DATABASE, POINT


async def columns() -> polars.DataFrame:
    frames = []
    async for coin, body in charts():
        prices, caps, volumes = (numpy.array(body[name], dtype="f8") for name in ARRAYS)
        frame = polars.DataFrame(
            {"ts": prices[:, 0].astype("i8"), "price": prices[:, 1], "market_cap": caps[:, 1], "volume": volumes[:, 1]}
        )
        at = polars.from_epoch("ts", time_unit="ms").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
        frames.append(frame.select(polars.lit(coin).alias("coin_id"), at, "price", "market_cap", "volume"))
    return polars.concat(frames)


frame = asyncio.run(columns())
with adbc_driver_postgresql.dbapi.connect(DATABASE) as connection, connection.cursor() as cursor:
    cursor.execute(POINT)
    connection.commit()
    cursor.adbc_ingest("staging", frame.to_arrow(), mode="create", temporary=True)
    cursor.execute(
        "insert into point select coin_id, ts, price, market_cap, volume from staging on conflict do nothing"
    )
    connection.commit()
