"""All charts of the task as parsed bodies, as they come: aiohttp, eight at once, and orjson."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
from task import AGENT, AT_ONCE, COINS, requests_of

ARRAYS = ("prices", "market_caps", "total_volumes")


async def charts() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Each coin with one of its bodies."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(headers=AGENT, connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

        async def get(coin: str, url: str, span: dict[str, str]) -> tuple[str, bytes]:
            async with gate, session.get(url, params=span) as response:
                response.raise_for_status()
                return coin, await response.read()

        waiting = [asyncio.ensure_future(get(*request)) for request in requests_of(COINS)]
        for done in asyncio.as_completed(waiting):
            coin, body = await done
            yield coin, orjson.loads(body)
