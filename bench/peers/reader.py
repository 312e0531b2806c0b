"""Reads the newest quotes and a coin's last day in a loop until its standard input ends, and times each."""

from __future__ import annotations

import json
import select
import sys
import time
import warnings
from datetime import datetime, timedelta, timezone

import coinmill

warnings.simplefilter("ignore", coinmill.CoverageWarning)
asked = json.loads(sys.argv[1])
mill = coinmill.Mill(**asked["settings"])
day = (datetime.now(timezone.utc) - timedelta(days=1)).isoformat()
seconds: list[float] = []
errors: list[str] = []
mill.quotes()
print("ready", flush=True)
while not select.select([sys.stdin], [], [], asked["pause"])[0]:
    for read in (mill.quotes, lambda: mill.prices(asked["coin"], day, resolution="1h")):
        began = time.perf_counter()
        try:
            found = len(read())
        except coinmill.CoinmillError as error:
            errors.append(str(error))
            continue
        seconds.append(time.perf_counter() - began)
        if not found:
            errors.append("nothing was read")
print(json.dumps({"seconds": seconds, "errors": errors}))
