"""Months of half-hours on the demo plan, held against what the market had: calls, snapshots, points, losses.

    python bench/month.py --coinmill target/release/coinmill [--only default,outages] [--kinds sqlite]

Each scenario is a market whose clock is moved from half-hour to half-hour, and `coinmill run all` in each of them, with
the plan's 10,000 credits a month. (Its 30 calls a minute would take real minutes: here they are many, and a test of
their own holds ten processes to them.) Every 23 hours all charts are looked at, so that each settled five-minute point
that CoinGecko would have had is known, and compared with what is stored. Printed as Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import coinmill

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from postgres import cluster

BEGIN = datetime(2026, 6, 1, tzinfo=timezone.utc)
HALF_HOUR, DAY = 1800, 86_400
LOOK = 46  # half-hours: each point is seen before it falls off


@dataclass
class Scenario:
    """A schedule: how long, of how many coins, and when nothing runs."""

    name: str
    begin: datetime = BEGIN
    days: float = 30
    market: int = 250
    top: int = 250
    outage_hours: int = 0
    outage_after_days: float = 3
    looked_at: int = 250

    def at(self, slot: int) -> datetime:
        """When a half-hour's runs begin: a scheduler is a little late, and not always the same."""
        return self.begin + timedelta(seconds=slot * HALF_HOUR + 2 + slot * 7919 % 90)

    @property
    def back(self) -> int:
        """The first half-hour after the outage."""
        return int(self.outage_after_days * 48) + 2 * self.outage_hours

    def runs(self, slot: int) -> bool:
        """Whether anything runs in a half-hour."""
        return not self.back - 2 * self.outage_hours <= slot < self.back


SCENARIOS = {
    "default": [
        Scenario("250 coins of 250, 30 days"),
        Scenario("250 coins, 31 days", begin=datetime(2026, 7, 1, tzinfo=timezone.utc), days=31),
    ],
    "moving": [Scenario("250 coins of 1,000, ranks move, 30 days", market=1_000)],
    "many": [Scenario("--top 1000, 30 days", market=1_100, top=1_000, looked_at=200)],
    "outages": [Scenario(f"outage of {hours} h", days=7, outage_hours=hours) for hours in (1, 6, 20, 40)],
}


@dataclass
class Result:
    """What came of a scenario."""

    calls: int = 0
    snapshots: int = 0
    slots: int = 0
    states: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    healed: int = 0
    followed: int = 0
    points: int = 0
    lacking: int = 0
    lacking_could_be_had: int = 0
    seconds: float = 0.0


def stamps_of(url: str, coin: str) -> list[int]:
    """The five-minute stamps of the market's last day, but for the live one."""
    with urllib.request.urlopen(f"{url}/coins/{coin}/market_chart?vs_currency=usd&days=1&precision=full") as body:
        return [int(point[0]) for point in json.load(body)["prices"][:-1]]


def ranking(url: str, count: int) -> list[str]:
    """The largest coins."""
    coins: list[str] = []
    for page in range(1, -(-count // 250) + 1):
        query = f"vs_currency=usd&order=market_cap_desc&per_page=250&page={page}"
        with urllib.request.urlopen(f"{url}/coins/markets?{query}") as body:
            coins += [row["id"] for row in json.load(body)]
    return coins[:count]


@contextmanager
def databases(kind: str) -> Iterator[dict[str, str]]:
    """Where a scenario stores, as settings."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="month-"))
        if kind == "sqlite":
            yield {"COINMILL_DATA_DIR": folder}
            return
        server = stack.enter_context(cluster())
        import psycopg

        with psycopg.connect(server, autocommit=True) as admin:
            for name in ("month_snapshot", "month_timeseries"):
                admin.execute(f"create database {name}")
        at = server.rsplit("/", 1)[0]
        yield {
            "COINMILL_DATA_DIR": folder,
            "COINMILL_SNAPSHOT_URL": f"{at}/month_snapshot",
            "COINMILL_TIMESERIES_URL": f"{at}/month_timeseries",
        }


def play(scenario: Scenario, program: Path, places: dict[str, str]) -> Result:
    """Runs a scenario."""
    result = Result()
    began = time.monotonic()
    market: dict[str, set[int]] = defaultdict(set)
    last_seen: dict[str, int] = {}
    with (
        coinmill.Sim(market_size=scenario.market, clock=scenario.begin, frozen=True) as sim,
        ThreadPoolExecutor(4) as pool,
    ):
        env = {name: value for name, value in os.environ.items() if not name.startswith("COINMILL_")}
        env |= places
        for name, value in sim.settings.items():
            env[f"COINMILL_{name.upper()}"] = str(value)
        env |= {
            "COINMILL_PLAN": "keyless",
            "COINMILL_CALLS_PER_MINUTE": "100000",
            "COINMILL_CREDITS_PER_MONTH": "10000",
            "COINMILL_TOP": str(scenario.top),
        }

        def coinmill_json(*arguments: str) -> Any:
            done = subprocess.run([program, *arguments, "--json"], env=env, capture_output=True, text=True, check=False)
            if not done.stdout:
                raise SystemExit(done.stderr)
            return json.loads(done.stdout)

        def look() -> None:
            coins = ranking(sim.url, scenario.looked_at)
            for coin, stamps in zip(coins, pool.map(lambda coin: stamps_of(sim.url, coin), coins), strict=True):
                market[coin].update(stamps)
                last_seen[coin] = int(sim.now.timestamp() * 1000)

        coinmill_json("init")
        for slot in range(int(scenario.days * 48)):
            sim.set_clock(scenario.at(slot))
            if scenario.runs(slot):
                both = coinmill_json("run", "all")
                result.slots += 1
                snapshot, series = both["snapshot"], both["timeseries"]
                result.snapshots += snapshot.get("state") == "complete"
                for report in filter(None, (snapshot, series, series.get("heal"))):
                    result.calls += report.get("calls", 0)
                    result.states[f"{report.get('kind', 'failed')} {report['state']}"] += 1
                for missing in series.get("missing", []):
                    result.said["lost" if "are lost" in missing["reason"] else missing["reason"][:40]] += 1
            if slot % LOOK == LOOK - 1:
                look()
        look()
        for _ in range(3):  # what is left to heal has calls in later half-hours; here at once
            if not coinmill_json("heal", "--spend", "1000").get("runs"):  # a month that is spent is an error
                break
        gaps = coinmill_json("gaps", "--resolution", "5m")
        result.healed = sum(gap["kind"] == "healed" for gap in gaps["gaps"])
        owed: dict[str, list[tuple[int, int]]] = defaultdict(list)
        rows = query(places, "select coin_id, starts_at, ends_at from owed where resolution = 5")
        for coin, start, end in rows:
            owed[coin].append((start, end))
        waits = defaultdict(list)
        for gap in gaps["gaps"]:
            if gap["kind"] == "not_asked":
                waits[gap["coin_id"]].append((ms(gap["starts_at"]), ms(gap["ends_at"])))
        stored: dict[str, set[int]] = defaultdict(set)
        for coin, ts in query(
            places, "select c.id, p.ts from price_point p join coin c on c.key = p.coin where p.resolution = 5"
        ):
            stored[coin].add(ts)
        result.followed = len(owed)
        back = scenario.at(scenario.back).timestamp() * 1000
        for coin, stamps in market.items():

            def within(ts: int, spans: list[tuple[int, int]]) -> bool:
                return any(start <= ts < end for start, end in spans)

            due = {ts for ts in stamps if within(ts, owed[coin]) and not within(ts, waits[coin])}
            lacking = due - stored[coin]
            result.points += len(due)
            result.lacking += len(lacking)
            could = (ts for ts in lacking if not scenario.outage_hours or ts >= back - DAY * 1000)
            result.lacking_could_be_had += sum(1 for _ in could)
    result.seconds = time.monotonic() - began
    return result


def ms(text: str) -> int:
    """An instant in milliseconds since 1970."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def query(places: dict[str, str], sql: str) -> list[tuple[Any, ...]]:
    """Rows of the time series database, instants as milliseconds."""
    if url := places.get("COINMILL_TIMESERIES_URL"):
        import psycopg

        with psycopg.connect(url, options="-c search_path=timeseries") as connection:
            rows = connection.execute(sql).fetchall()  # type: ignore[call-overload]
        return [tuple(round(it.timestamp() * 1000) if isinstance(it, datetime) else it for it in row) for row in rows]
    import sqlite3

    with sqlite3.connect(Path(places["COINMILL_DATA_DIR"]) / "timeseries.db") as connection:
        return connection.execute(sql).fetchall()


def main() -> None:
    """Plays what was asked for, and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--coinmill", type=Path, required=True)
    parser.add_argument("--only", default=",".join(SCENARIOS))
    parser.add_argument("--kinds", default="sqlite")
    parser.add_argument("--days", type=float, help="another length, for a trial")
    options = parser.parse_args()
    columns = (
        "scenario",
        "on",
        "calls",
        "snapshots",
        "followed",
        "points",
        "lacking",
        "to be had",
        "lost",
        "healed",
        "s",
    )
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for kind in options.kinds.split(","):
        for scenario in (it for name in options.only.split(",") for it in SCENARIOS[name]):
            if options.days:
                scenario.days = options.days
            with databases(kind) as places:
                done = play(scenario, options.coinmill.resolve(), places)
            cells = (
                scenario.name,
                kind,
                f"{done.calls:,}",
                f"{done.snapshots:,} of {done.slots:,}",
                done.followed,
                f"{done.points:,}",
                f"{done.lacking:,}",
                done.lacking_could_be_had,
                done.said["lost"],
                done.healed,
                f"{done.seconds:.0f}",
            )
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
            others = {said: count for said, count in done.said.items() if said != "lost"}
            print(f"<!-- {dict(done.states)} {others} -->", flush=True)


if __name__ == "__main__":
    main()
