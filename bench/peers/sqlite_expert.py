"""SQLite by hand, made well: aiohttp and orjson, executemany a body, one transaction, a write-ahead log."""

from __future__ import annotations

import asyncio
import sqlite3

from fetched import ARRAYS, charts
from task import DATABASE, POINT_IN_SQLITE


async def main() -> None:
    database = sqlite3.connect(DATABASE)
    database.execute("pragma journal_mode = wal")
    database.execute(POINT_IN_SQLITE)
    async for coin, body in charts():
        columns = zip(*(body[name] for name in ARRAYS), strict=True)
        rows = [(coin, price[0], price[1], cap[1], volume[1]) for price, cap, volume in columns]
        database.executemany("insert or ignore into point values (?, ?, ?, ?, ?)", rows)
    database.commit()
    database.close()


asyncio.run(main())
