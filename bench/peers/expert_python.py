"""What an experienced Python programmer writes: binary COPY into a staging table while charts come, then one upsert."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone

import psycopg
from fetched import ARRAYS, charts
from task import DATABASE, POINT

TYPES = ("text", "timestamptz", "float8", "float8", "float8")


async def main() -> None:
    async with await psycopg.AsyncConnection.connect(DATABASE) as connection, connection.cursor() as cursor:
        await cursor.execute(POINT)
        await cursor.execute("create temporary table staging (like point)")
        async with cursor.copy("copy staging from stdin (format binary)") as copy:
            copy.set_types(TYPES)
            async for coin, body in charts():
                for (ts, price), (_, cap), (_, volume) in zip(*(body[name] for name in ARRAYS), strict=True):
                    at = datetime.fromtimestamp(ts / 1000, timezone.utc)
                    await copy.write_row((coin, at, float(price), cap, volume))
        await cursor.execute("insert into point select * from staging on conflict do nothing")


asyncio.run(main())
