"""Which machine, databases and versions the results are of."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

PEERS = (
    "adbc-driver-postgresql",
    "aiohttp",
    "coingecko-sdk",
    "connectorx",
    "dlt",
    "numpy",
    "orjson",
    "pandas",
    "polars",
    "psycopg",
    "pyarrow",
    "pycoingecko",
    "requests",
    "SQLAlchemy",
    "TA-Lib",
)


def described(folder: Path, postgres: str, settings: tuple[str, ...], coinmill: str) -> str:
    """One paragraph. `folder` is where the databases lie, `postgres` its version."""
    load = os.getloadavg()[0]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    peers = ", ".join(f"{name} {version(name)}" for name in PEERS)
    return (
        f"{processor()}, {len(os.sched_getaffinity(0))} cores, {memory():.0f} GB, Linux {platform.release()}, "
        f"{filesystem(folder)}; load {load:.1f} at the beginning. PostgreSQL {postgres} on the same machine "
        f"({', '.join(settings)}), Python's SQLite {sqlite3.sqlite_version}, {python}; {coinmill}. "
        f"Peers: {peers}."
    )


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def memory() -> float:
    """GB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def filesystem(folder: Path) -> str:
    """The file system of a folder, and its device."""
    best, kind, device = "", "", ""
    for line in Path("/proc/mounts").read_text().splitlines():
        source, point, system = line.split()[:3]
        if folder.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind, device = point, system, source
    return f"{kind} on {device.removeprefix('/dev/')}"
