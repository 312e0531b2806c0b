"""A market on loopback for benchmarks, in CoinGecko's shapes: fast, and never throttled.

    python bench/market.py --port 0 [--coins 250] [--charts 50] [--days 367]

It shares no code with coinmill (`coinmill sim` does). Charts are served of the first `--charts` coins: five-minute
points for a span of up to a day that ends now, hourly ones up to 90 days, daily ones beyond, each array ending with a
live point where the span ends now. Every number is written as JSON once, at the start: a request joins bytes. Bodies
are not compressed.

Beside the API there are two calls of its own: `/bench/clock?set=SECONDS` sets the clock of the `Date` header, and
without `set` back to the machine's; `/bench/sent` says when the last byte of the newest answer was written, by the
monotonic clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
FIVE = 5 * MINUTE
LONGEST_HOURLY = 90 * DAY
# a span that ends within these ends now
ABOUT_NOW = 5 * MINUTE
# a run of all benches may take hours, in which there are new points
AHEAD = DAY
NAMES = ("prices", "market_caps", "total_volumes")
CHANGES = ("1h", "24h", "7d", "14d", "30d", "200d", "1y")


@dataclass
class Series:
    """Points of one spacing: their stamps, and each array's pairs as JSON."""

    stamps: list[int] = field(default_factory=list)
    pairs: tuple[list[bytes], list[bytes], list[bytes]] = field(default_factory=lambda: ([], [], []))

    def add(self, stamp: int, figures: tuple[float, float, float]) -> None:
        self.stamps.append(stamp)
        for array, figure in zip(self.pairs, figures, strict=True):
            array.append(f"[{stamp},{figure!r}]".encode())

    def body(self, start: int, end: int, live: Series | None) -> bytes:
        first, last = bisect_left(self.stamps, start), bisect_right(self.stamps, end)
        arrays = []
        for place, name in enumerate(NAMES):
            pairs = self.pairs[place][first:last] + (live.pairs[place] if live else [])
            arrays.append(b'"%s":[%s]' % (name.encode(), b",".join(pairs)))
        return b"{%s}" % b",".join(arrays)


class Coin:
    """A coin and its history, a random walk; what of it lies ahead of now is not served."""

    def __init__(self, place: int, now: int, days: int, has_chart: bool) -> None:
        draw = random.Random(place)
        self.id, self.symbol, self.name = f"coin-{place:03}", f"c{place:03}", f"Coin {place}"
        self.supply = 10.0 ** draw.uniform(7, 10)
        # the first have the largest market caps, so that the coins with charts are the top
        self.price = 1e12 * 0.96**place / self.supply
        self.share = draw.uniform(0.02, 0.2)
        self.hourly, self.daily, self.five = Series(), Series(), Series()
        if not has_chart:
            return
        for stamp in range((now // HOUR - days * 24) * HOUR, now + AHEAD, HOUR):
            self.price *= draw.lognormvariate(0, 0.004)
            if stamp % DAY == 0:
                self.daily.add(stamp, self.figures())
            self.hourly.add(stamp + draw.randrange(100_000), self.figures())
        for stamp in range((now - DAY) // FIVE * FIVE, now + AHEAD, FIVE):
            self.five.add(stamp + draw.randrange(20_000), self.figures())

    def figures(self) -> tuple[float, float, float]:
        cap = self.price * self.supply
        return self.price, cap, cap * self.share

    def live(self, now: int) -> Series:
        live = Series()
        live.add(now, self.figures())
        return live

    def quote(self, rank: int) -> dict[str, object]:
        price, cap, volume = self.figures()
        total = self.supply * 1.1
        return {
            "id": self.id,
            "symbol": self.symbol,
            "name": self.name,
            "image": f"https://coin-images.example/{self.id}.png",
            "current_price": price,
            "market_cap": cap,
            "market_cap_rank": rank,
            "fully_diluted_valuation": price * total,
            "total_volume": volume,
            "high_24h": price * 1.02,
            "low_24h": price * 0.98,
            "price_change_24h": price * 0.01,
            "price_change_percentage_24h": 1.01,
            "market_cap_change_24h": cap * 0.01,
            "market_cap_change_percentage_24h": 1.01,
            "circulating_supply": self.supply,
            "total_supply": total,
            "max_supply": None if rank % 3 else total,
            "ath": price * 3,
            "ath_change_percentage": -66.7,
            "ath_date": "2021-11-10T14:24:11.849Z",
            "atl": price / 50,
            "atl_change_percentage": 4900.0,
            "atl_date": "2015-01-14T00:00:00.000Z",
            "roi": None,
            "last_updated": "",
            **{f"price_change_percentage_{span}_in_currency": 1.0 + rank / 1000 for span in CHANGES},
        }


class Market:
    """The API: from a path and its query to a status and a body."""

    def __init__(self, coins: int, charts: int, days: int) -> None:
        now = int(time.time() * 1000)
        self.coins = [Coin(place, now, days, place < charts) for place in range(coins)]
        self.by_id = {coin.id: coin for coin in self.coins}
        self.ranks = {coin.id: rank for rank, coin in enumerate(self.coins, 1)}
        self.quotes = {coin.id: json.dumps(coin.quote(self.ranks[coin.id])) for coin in self.coins}
        self.set_to: float | None = None
        self.sent = 0.0

    def now(self) -> float:
        return time.time() if self.set_to is None else self.set_to

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        parts = unquote(path).strip("/").split("/")
        if parts[:2] == ["api", "v3"]:
            parts = parts[2:]
        match parts:
            case ["ping"]:
                return 200, b'{"gecko_says":"(V3) To the Moon!"}'
            case ["coins", "list"]:
                rows = [{"id": coin.id, "symbol": coin.symbol, "name": coin.name} for coin in self.coins]
                return 200, json.dumps(rows).encode()
            case ["coins", "markets"]:
                return 200, self.markets(query)
            case ["coins", coin, "market_chart", *rest] if coin in self.by_id and rest in ([], ["range"]):
                return 200, self.chart(self.by_id[coin], query)
            case ["bench", "clock"]:
                self.set_to = float(query["set"]) if "set" in query else None
                return 200, b"{}"
            case ["bench", "sent"]:
                return 200, repr(self.sent).encode()
        return 404, b'{"error":"coin not found"}'

    def markets(self, query: dict[str, str]) -> bytes:
        asked = query.get("ids")
        pool = self.coins if asked is None else [self.by_id[one] for one in asked.split(",") if one in self.by_id]
        size, page = min(int(query.get("per_page", "100")), 250), int(query.get("page", "1"))
        # half a minute old, as CoinGecko's are
        updated = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self.now() - 30))
        rows = ",".join(self.quotes[coin.id] for coin in pool[(page - 1) * size : page * size])
        return f"[{rows}]".replace('"last_updated": ""', f'"last_updated": "{updated}"').encode()

    def chart(self, coin: Coin, query: dict[str, str]) -> bytes:
        now = int(self.now() * 1000)
        if "from" in query:
            start, end = int(float(query["from"]) * 1000), min(int(float(query["to"]) * 1000), now)
        else:
            start, end = now - int(float(query["days"]) * DAY), now
        is_live = end > now - ABOUT_NOW
        series = coin.hourly
        if query.get("interval") == "daily" or end - start > LONGEST_HOURLY:
            series = coin.daily
        elif is_live and end - start <= DAY:
            series = coin.five
        return series.body(start, end, coin.live(end) if is_live else None)


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as clients that only GET need it."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, self.received = self.received.split(b"\r\n\r\n", 1)
            self.respond(head.split(b" ", 2)[1].decode())

    def respond(self, target: str) -> None:
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        status, body = self.market.answer(url.path, query)
        head = (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not Found'}\r\ncontent-type: application/json\r\n"
            f"date: {formatdate(self.market.now(), usegmt=True)}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        if not url.path.startswith("/bench"):
            self.market.sent = time.monotonic()


async def serve(options: argparse.Namespace) -> None:
    market = Market(options.coins, options.charts, options.days)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(market), "127.0.0.1", options.port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v3", flush=True)
    await server.serve_forever()


@contextmanager
def running(charts: int) -> Iterator[str]:
    """Starts a market of 250 coins and gives the API's URL."""
    command = [sys.executable, __file__, "--charts", str(charts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            if not (url := server.stdout.readline().strip()):
                raise SystemExit("the market did not start")
            yield url
        finally:
            server.terminate()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--coins", type=int, default=250)
    options.add_argument("--charts", type=int, default=50)
    options.add_argument("--days", type=int, default=367)
    asyncio.run(serve(options.parse_args()))


if __name__ == "__main__":
    main()
