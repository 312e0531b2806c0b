"""CoinGecko's market data, complete or saying what is missing, stored once, traceable to the bytes it came from.

>>> import coinmill
>>> mill = coinmill.Mill(top=100)         # settings; opens nothing yet
>>> report = mill.run_snapshot()          # the current half-hour, into ./coinmill-data/snapshot.db
>>> report["state"], report["stored"]

Settings come from keywords, then ``COINMILL_*`` variables, then ``coinmill.toml``, then defaults that work with nothing
set. ``coinmill run snapshot --help`` lists them.
"""

from coinmill._core import (
    BudgetError,
    CoinmillError,
    ConfigError,
    CoverageWarning,
    DataError,
    Frame,
    HeldError,
    IncompleteError,
    Indicators,
    Mill,
    PastSlotError,
    Sim,
    SourceError,
    StoreError,
    Stream,
    __version__,
    demo,
    indicators,
)

__all__ = [
    "BudgetError",
    "CoinmillError",
    "ConfigError",
    "CoverageWarning",
    "DataError",
    "Frame",
    "HeldError",
    "IncompleteError",
    "Indicators",
    "Mill",
    "PastSlotError",
    "Sim",
    "SourceError",
    "StoreError",
    "Stream",
    "__version__",
    "demo",
    "indicators",
]
