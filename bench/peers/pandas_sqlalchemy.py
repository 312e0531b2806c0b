"""What many begin with: requests, one call after the other, a pandas frame a body, and its to_sql."""

from __future__ import annotations

import pandas
import requests
from sqlalchemy import create_engine, text
from task import AGENT, COINS, DATABASE, POINT, requests_of

engine = create_engine(DATABASE.replace("postgresql://", "postgresql+psycopg2://"))
with engine.begin() as connection:
    connection.execute(text(POINT))
for coin, url, span in requests_of(COINS):
    response = requests.get(url, params=span, headers=AGENT, timeout=60)
    response.raise_for_status()
    body = response.json()
    frame = pandas.DataFrame(body["prices"], columns=["ts", "price"])
    frame["market_cap"] = [cap for _, cap in body["market_caps"]]
    frame["volume"] = [volume for _, volume in body["total_volumes"]]
    frame["ts"] = pandas.to_datetime(frame["ts"], unit="ms", utc=True)
    frame["coin_id"] = coin
    frame.to_sql("point", engine, if_exists="append", index=False)
