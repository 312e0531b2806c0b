"""SQLite by hand, as written first: requests, one call after the other, executemany and a commit a body."""

from __future__ import annotations

import sqlite3

import requests
from task import AGENT, COINS, DATABASE, POINT_IN_SQLITE, requests_of

database = sqlite3.connect(DATABASE)
database.execute(POINT_IN_SQLITE)
with requests.Session() as session:
    session.headers.update(AGENT)
    for coin, url, span in requests_of(COINS):
        response = session.get(url, params=span, timeout=60)
        response.raise_for_status()
        body = response.json()
        columns = zip(body["prices"], body["market_caps"], body["total_volumes"], strict=True)
        rows = [(coin, price[0], price[1], cap[1], volume[1]) for price, cap, volume in columns]
        database.executemany("insert or ignore into point values (?, ?, ?, ?, ?)", rows)
        database.commit()
database.close()
