from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from os import PathLike
from types import TracebackType
from typing import Any, Literal, SupportsIndex, final, overload

from typing_extensions import Self

from coinmill.records import (
    DemoReports,
    Doctor,
    Explained,
    HealReport,
    Listener,
    ListingReport,
    Missing,
    PlanReport,
    PruneReport,
    Replay,
    RequeueReport,
    Resolution,
    Rules,
    RunReport,
    SeriesReport,
    ShownSettings,
    Status,
)

__version__: str

class CoinmillError(Exception):
    """Anything that coinmill reports."""

    retryable: bool
    """True where the same call may succeed later."""

class ConfigError(CoinmillError):
    """A setting, or something outside the call, has to be set right first."""

class SourceError(CoinmillError):
    """The market API refused or could not be reached."""

    status: int | None
    """The HTTP status, where a response was received."""
    code: int | None
    """CoinGecko's own error code, such as 10011."""

class BudgetError(CoinmillError):
    """The plan's calls are spent."""

class DataError(CoinmillError):
    """What was received, landed or stored is damaged, or not what it has to be."""

class StoreError(CoinmillError):
    """A database or the landing folder refused or could not be reached."""

class HeldError(CoinmillError):
    """Another run is at work on the slot or the series: let it end."""

class PastSlotError(CoinmillError):
    """The slot is over, and CoinGecko has only present quotes."""

class IncompleteError(CoinmillError):
    """Less than the set completeness was received; what was received is stored."""

    report: RunReport
    """The run's report."""

class CoverageWarning(UserWarning):
    """A part of the span that was asked for is not stored; ``frame.missing`` lists it."""

@final
class Mill:
    """The settings, and the verbs that use them.

    It opens nothing and holds nothing but settings: it can be pickled, forked and used from several threads. Each call
    makes its connections and drops them; where a database is SQLite, it does so in a process of its own, so that
    ``sqlite3``, pandas or DuckDB can have the same files open here.

    A pickle carries the keywords and which databases are used, but no key and no password: where it is loaded, those
    come from ``COINMILL_*`` variables or ``coinmill.toml``, and loading it without them is a `ConfigError`.

    Settings come from these keywords, then ``COINMILL_*`` variables, then ``coinmill.toml``, then defaults that work
    with nothing set.

    Parameters
    ----------
    api_url, api_key, plan
        The API's base URL, the key, and ``keyless``, ``demo``, ``paid`` or ``unlimited``. A key is better kept in
        ``COINMILL_API_KEY`` or in ``coinmill.toml`` than in code.
    snapshot_url, timeseries_url
        ``sqlite://PATH`` or ``postgresql://USER:PASSWORD@HOST:PORT/NAME``; by default SQLite files in `data_dir`.
        A `data_dir` given here counts more than URLs of the environment or the file.
    top, add_coins
        How many coins by market cap (250), and coins by id that are asked for too.
    coins
        Only these coins, by id; `top` has no meaning beside it.
    vs_currency
        The currency of prices (``usd``); one pair of databases holds one.
    refuse
        Warning rules whose quotes are refused instead of being stored with a warning, such as ``zero_price``.
    retention_days_5m, retention_days_1h, retention_days_1d, retention_days_landing
        How many days of points and of received bytes `prune` keeps; by default all.
    contract
        When CoinGecko's responses have unknown fields, or lack known ones: ``evolve`` notes it in the report's
        ``drift``, ``freeze`` stores nothing.
    settings
        Every other setting that ``coinmill run snapshot --help`` lists, with underscores.

    Raises
    ------
    ConfigError
        A setting cannot be used; the message says where it came from and what would be right.
    """

    def __new__(
        cls,
        *,
        config: str | PathLike[str] | None = None,
        api_url: str | None = None,
        api_key: str | None = None,
        plan: str | None = None,
        snapshot_url: str | None = None,
        timeseries_url: str | None = None,
        data_dir: str | PathLike[str] | None = None,
        landing_dir: str | PathLike[str] | None = None,
        top: int | None = None,
        coins: str | Sequence[str] | None = None,
        add_coins: str | Sequence[str] | None = None,
        vs_currency: str | None = None,
        clock: str | None = None,
        completeness: float | None = None,
        refuse: str | Sequence[str] | None = None,
        contract: Literal["evolve", "freeze"] | None = None,
        retention_days_5m: int | None = None,
        retention_days_1h: int | None = None,
        retention_days_1d: int | None = None,
        retention_days_landing: int | None = None,
        **settings: str | float | None,
    ) -> Self: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, _memo: object, /) -> Self: ...
    def init(self) -> None:
        """Make or migrate the databases. Repeating it changes nothing.

        It says the currency of a PostgreSQL database, and may change it as long as nothing is stored there; a SQLite
        file takes that of its first rows.

        Raises
        ------
        ConfigError
            A database is newer than this program, or holds another currency.
        StoreError
            A database cannot be reached, or this role may not create.
        """

    def run_snapshot(self, slot: str | datetime | None = None, *, progress: Listener | None = None) -> RunReport:
        """Fetch, land, validate and store the quotes of the largest coins, and of coins asked for by id.

        A complete slot costs no call and changes nothing; of a partial one only the rest is fetched; a past one is
        completed from its landing (the received bytes) or refused. Ctrl-C ends it within a fraction of a second, and
        the next run recovers what it had landed.

        Parameters
        ----------
        slot
            A half-hour, by its start in UTC; by default the current one. A datetime without a zone is taken as UTC.
        progress
            A function that is told how far the run is after each response, as a :class:`coinmill.records.Progress`.
            What it raises ends the run in good order, and is raised here. In a notebook a run of more than two seconds
            shows a bar by default; False shows none.

        Raises
        ------
        ValueError
            `slot` is no half-hour, or still to come.
        PastSlotError
            `slot` is over, and its landing holds nothing more.
        IncompleteError
            Less than the set completeness is stored; the report is on the error.
        HeldError, BudgetError, SourceError, ConfigError, StoreError
            Each with its remedy in the message.
        """

    def run_timeseries(self, resolution: Resolution = "5m", *, progress: Listener | None = None) -> SeriesReport:
        """Fetch what is due in the price history of the newest snapshot's coins, and of coins asked for by id.

        At ``5m`` each coin's last day is fetched again after 23 hours, before CoinGecko drops it, and earlier where the
        plan has calls to spare; what was lost all the same is in ``missing`` once, and comes by the hour (``heal``).
        At the other resolutions a run spends its share of the month's calls, on the coins first that were fetched
        longest ago. Coins that are left to a later run, or that a backfill is at work on, are counted in ``postponed``.
        Only settled points are stored: the last point of a chart still changes.

        Parameters
        ----------
        resolution
            Of the points to fetch.
        progress
            As in :meth:`run_snapshot`.

        Raises
        ------
        ConfigError
            There is no snapshot yet.
        IncompleteError, HeldError, BudgetError, SourceError, StoreError
            As in :meth:`run_snapshot`.
        """

    def run_listing(self, *, accept_losses: bool = False) -> ListingReport:
        """Fetch and store the list of all coins, once a day (UTC), in one call; a day's second run makes none.

        The lists tell what coins are called, which appear, and which are delisted: a coin that two lists in a row lack,
        received an hour or more apart, is delisted since the first of them. ``delisted`` names those that this list
        decides. :meth:`search`, :meth:`resolve`, :meth:`universe` and suggestions for wrong ids read them.

        Parameters
        ----------
        accept_losses
            Store a list that lacks more coins than can be gone since the one before: more than 5 % of them, and 5 %
            more for each month between the two. Otherwise such a list is refused, and no coin counts as absent.

        Raises
        ------
        DataError
            The list is empty or lacks too many coins. It stays landed, and is asked for again after six hours.
        BudgetError
            The month has no calls but those that its snapshots need.
        HeldError, SourceError, StoreError
            As in :meth:`run_snapshot`.
        """

    def backfill(
        self,
        *,
        days: int | None = None,
        start: str | date | datetime | None = None,
        end: str | date | datetime | None = None,
        resolution: Resolution = "1h",
        coins: str | Sequence[str] | None = None,
        refetch: bool = False,
        spend: int | None = None,
        progress: Listener | None = None,
    ) -> SeriesReport:
        """Fetch the history of a span, as far as it is not stored yet; stopped and called again, it resumes.

        Backfills of different coins can run side by side, in as many processes as you like.

        Parameters
        ----------
        days
            The last so many days; or else `start`, with or without `end` (not included; by default now), in UTC.
        resolution
            ``5m`` reaches one day back, ``1h`` and ``1d`` as far as the plan.
        coins
            Only these, as a list of ids or as a text (``"bitcoin"``, ``"bitcoin,ethereum"``); by default the `top` of
            the newest snapshot, which is taken where there is none.
        refetch
            Fetch again what is stored: new points are added, and values that differ and are received later than the
            stored ones become revisions.
        spend
            The most calls to spend, also such as the schedule needs; by default those that it leaves.
        progress
            As in :meth:`run_snapshot`.

        Raises
        ------
        ValueError
            The span is empty, still to come, or beyond what the plan or the resolution reaches; or `coins` is empty.
        IncompleteError, HeldError, BudgetError, SourceError, ConfigError, StoreError
            As in :meth:`run_snapshot`.
        """

    def gaps(
        self,
        coins: str | Sequence[str] | None = None,
        start: str | date | datetime | None = None,
        end: str | date | datetime | None = None,
        *,
        resolution: Resolution | None = None,
    ) -> Frame:
        """Where price history has gaps and why, with their part of what is owed in percent.

        The columns are those of :class:`coinmill.records.Gap`. ``frame.totals`` has the sums, first over all coins
        (``coin_id`` is null) and then by coin, each at a resolution: ``owed_hours``, ``missing_pct``, and a column for
        each kind of gap (``lost_pct``, ``not_asked_pct``, …), in percent of what is owed.

        Owed is, of the coins that the schedule follows, all from the first half-hour that had them to the last; of
        others all between the ends of what is covered. What has not been due since the last run is ``not_asked``.

        Raises
        ------
        DataError
            Nothing of one of the `coins` is kept.
        ValueError
            The span is empty.
        ConfigError, StoreError
            There is no time series database, or it cannot be read.
        """

    def heal(self, *, spend: int | None = None, progress: Listener | None = None) -> HealReport:
        """Fetch what :meth:`gaps` lists and CoinGecko still gives: what is lost at ``5m``, by the hour.

        Parameters
        ----------
        spend
            The most calls to spend, also such as the schedule needs; by default those that it leaves.
        progress
            As in :meth:`run_snapshot`.

        Raises
        ------
        HeldError, BudgetError, SourceError, ConfigError, StoreError
            As in :meth:`run_snapshot`.
        """

    def plan(self) -> PlanReport:
        """What the schedule takes of the plan's calls, what the month has left, and which points are at risk."""

    def universe(
        self,
        top: int | None = None,
        at: str | date | datetime | None = None,
        *,
        as_of: str | date | datetime | None = None,
    ) -> Frame:
        """The coins of a past snapshot by market cap, as it was then, with those that have died or been renamed since.

        A universe that is chosen by what is large today leaves out what has failed meanwhile; this one does not.
        ``market_cap_rank``, ``symbol``, ``name`` and ``market_cap`` are of that half-hour; ``symbol_now`` and
        ``name_now`` are the newest, ``last_seen`` is the newest snapshot with a quote of the coin, and ``delisted_at``
        says since when lists of all coins lack it. Where fewer are stored than asked for, ``frame.missing`` says which,
        and a :class:`CoverageWarning` says so too.

        >>> mill.universe(top=100, at="2026-01-31")["coin_id"]

        Parameters
        ----------
        top
            The largest, so many; all that the snapshot has, by default.
        at
            Of the newest snapshot that began at or before this instant; by default of the newest.
        as_of
            As it was stored at this instant, or at a pin of :meth:`pin`: the snapshot, names, and what was known to be
            delisted.

        Raises
        ------
        DataError
            There is no such snapshot, or nothing was stored by `as_of`.
        ValueError
            `at` or `as_of` is no instant, or `top` is 0.
        """

    def search(self, text: str, limit: int = 20) -> Frame:
        """Coins with this id, symbol or name, then those with it in one of them, then what is alike; no call is made.

        ``match`` says how each fits (``id``, ``symbol``, ``name``, ``part``, ``alike``); among equals the larger comes
        first, by ``market_cap_rank`` in the newest snapshot, and the delisted last, with ``delisted_at``. Upper and
        lower case are the same. Where no list of all coins was ever stored, only coins of snapshots are found, and a
        :class:`CoverageWarning` says so; :meth:`run_listing` fetches one.

        Raises
        ------
        ValueError
            `text` is blank.
        """

    def resolve(self, text: str) -> str:
        """The id of the one coin that a text means: by its id, or by a symbol or a name that no other coin has.

        It never chooses: 74 coins share the symbol ``weth``. A delisted coin counts by its id, and where nothing that
        is listed has the symbol or the name; then a log record says so.

        Raises
        ------
        DataError
            Several coins can be meant, and it names the largest; or none, and it names what is alike.
        """

    def quotes(
        self,
        at: str | date | datetime | None = None,
        *,
        start: str | date | datetime | None = None,
        end: str | date | datetime | None = None,
        coins: str | Sequence[str] | None = None,
        as_of: str | date | datetime | None = None,
    ) -> Frame:
        """The quotes of the newest snapshot, by market cap, with all that is derived from them; or those of a span.

        ``frame.missing`` lists the coins that were asked for and are not stored, each with the reason. With `start` or
        `end` the frame has every snapshot of the span, by ``snapshot_time``, and ``missing`` also the half-hours
        without one; where there are such, a :class:`CoverageWarning` says so too.

        >>> mill.quotes(start="2026-01-01", end="2026-01-08", coins="bitcoin")

        Parameters
        ----------
        at
            Of the newest snapshot that began at or before this instant instead: the half-hour that holds it, where
            there is one. Its quotes may have been received after this instant; `as_of` shows what was stored then.
        start, end
            Instead of `at`: the snapshots of half-hours that began from `start` on to before `end`, in UTC; where one
            is left out, to the first or the newest that is stored.
        coins
            Only these, as a list of ids or as a text; ``missing`` then names each snapshot that does not have them.
        as_of
            As it was stored at this instant, or at a pin of :meth:`pin`: the snapshots that there were, their quotes,
            and what was missing then. What was received or requeued later is not shown.

        Raises
        ------
        DataError
            There is no such snapshot, nothing was stored by `as_of`, it is a pin of another database, or no quote of
            one of the `coins` was ever stored.
        ValueError
            `at`, `start`, `end` or `as_of` is no instant; `start` is not before `end`, or still to come; there is an
            `at` beside them; or `coins` is empty.
        """

    def prices(
        self,
        coins: str | Sequence[str] | None = None,
        start: str | date | datetime | None = None,
        end: str | date | datetime | None = None,
        *,
        resolution: Resolution = "1h",
        as_of: str | date | datetime | None = None,
    ) -> Frame:
        """Price points by coin and time: ``coin_id``, ``ts``, ``price``, ``market_cap``, ``volume``.

        ``frame.missing`` lists the spans of each coin that are not stored: between `start` and `end`, as far as points
        are settled by now, and where one of them is left out, to the coin's own first or last. Where a span with a
        `start` or an `end` is not stored in whole, a :class:`CoverageWarning` says so too.

        Parameters
        ----------
        coins
            Only these, as a list of ids or as a text (``"bitcoin"``, ``"bitcoin,ethereum"``); by default all that are
            stored.
        start, end
            From `start` on to before `end`, in UTC.
        resolution
            Resolutions never mix, and points keep CoinGecko's own timestamps: they do not sit on a grid.
        as_of
            As it was stored at this instant, or at a pin of :meth:`pin`, with what was missing then. History that was
            fetched later is not shown.

        Raises
        ------
        ValueError
            `start` is not before `end`, or still to come; `coins` is empty.
        DataError
            Nothing is stored of one of the coins, or at this resolution, or was stored by `as_of`; it is a pin of
            another database, or one that knew points of the span which were pruned since.
        """

    def prices_stream(
        self,
        coins: str | Sequence[str] | None = None,
        start: str | date | datetime | None = None,
        end: str | date | datetime | None = None,
        *,
        resolution: Resolution = "1h",
        as_of: str | date | datetime | None = None,
    ) -> Stream:
        """What :meth:`prices` reads, as frames of up to a million points that have some coins whole, under one pin.

        >>> for frame in mill.prices_stream(resolution="5m"):  # more than fits into memory
        ...     frame.to_polars().write_parquet(f"{frame['coin_id'][0]}.parquet")

        Parameters
        ----------
        coins, start, end, resolution, as_of
            As in :meth:`prices`; without `as_of`, the pin is that of this call.

        Raises
        ------
        ValueError, DataError
            As in :meth:`prices`, here and at each frame.
        """

    def quotes_stream(
        self,
        start: str | date | datetime | None = None,
        end: str | date | datetime | None = None,
        *,
        coins: str | Sequence[str] | None = None,
        as_of: str | date | datetime | None = None,
    ) -> Stream:
        """The snapshots of a span, as :meth:`quotes` reads them, as frames of a day each, under one pin.

        Parameters
        ----------
        start, end, coins, as_of
            As in :meth:`quotes`; by default all that is stored, and the pin of this call.

        Raises
        ------
        ValueError, DataError
            As in :meth:`quotes`, here and at each frame.
        """

    def candles(
        self,
        coins: str | Sequence[str] | None = None,
        start: str | date | datetime | None = None,
        end: str | date | datetime | None = None,
        *,
        every: str = "1h",
        zone: str = "UTC",
        as_of: str | date | datetime | None = None,
    ) -> Frame:
        """Open, high, low and close by coin and time.

        The columns are ``coin_id``, ``ts`` (the beginning), ``open``, ``high``, ``low``, ``close``, ``points``,
        ``market_cap``, ``volume_24h``, ``resolution`` and ``is_partial``.

        Each is made of the exact points between its beginning and the next one's: of five-minute points where these
        cover it, else of hourly ones, never of both (``resolution`` says which). ``open`` is its first point's price,
        not the close before. ``volume_24h`` and ``market_cap`` are the last in it: CoinGecko's volume is the sum of the
        24 hours before, so volumes must not be added up. ``is_partial`` marks one that is not covered whole: it is
        running, or has a hole. Without a point there is no candle, and ``frame.missing`` lists what neither resolution
        covers.

        Parameters
        ----------
        coins
            Only these, as in :meth:`prices`.
        start, end
            Candles that begin from `start` on and before `end`, each whole.
        every
            Minutes or hours that divide a day (``"5m"``, ``"15m"``, ``"1h"``, ``"4h"``), days, weeks from Monday on or
            months (``"1d"``, ``"1w"``, ``"1mo"``). Below an hour only five-minute points are used.
        zone
            The time zone whose midnights days begin at, such as ``"Europe/Berlin"``: shorter candles are counted from
            midnight on, so where clocks are put forward or back, a day has fewer or more of them.
        as_of
            As it was stored at this instant or pin, as in :meth:`prices`.

        Raises
        ------
        ValueError
            `every` is no such length, `zone` no time zone, `start` not before `end`, or `coins` empty.
        DataError
            Nothing is stored of one of the coins that could make such candles, or was stored by `as_of`, and what
            :meth:`prices` says of pins.
        """

    def pin(self, at: str | date | datetime | None = None) -> str:
        """What is stored at this moment, as a text by which it can be read again.

        >>> pin = mill.pin()
        >>> mill.prices("bitcoin", as_of=pin)  # the same rows in the same order, whatever is stored later
        Frame: ...

        It names the newest commit of each database and this instant: keep it beside a result, in a notebook or a paper.
        Every frame of :meth:`quotes`, :meth:`prices`, :meth:`candles` and :meth:`universe` has the pin that it was read
        at, of its own database: ``frame.pin``.

        Parameters
        ----------
        at
            What readers could see at this instant instead, as ``as_of`` with an instant has it.

        Raises
        ------
        ValueError
            `at` is still to come, or no instant.
        DataError
            Nothing is stored, or was by then.
        """

    def explain(self, coin: str, ts: str | date | datetime, *, resolution: Resolution | None = None) -> Explained:
        """Where the numbers of a coin at an instant came from.

        Its quote of that half-hour, and for each resolution its newest point that is not more than two and a half steps
        older: every value that it had, each with the landed body and its hash, the request, the run, the version of
        coinmill and the rules, when it was received and since when it was known; and what was refused.

        Parameters
        ----------
        resolution
            Only the point of this resolution, and no quote.

        Raises
        ------
        DataError
            Nothing of the coin is stored at this instant.
        """

    def revisions(
        self,
        coins: str | Sequence[str] | None = None,
        start: str | date | datetime | None = None,
        end: str | date | datetime | None = None,
        *,
        resolution: Resolution | None = None,
    ) -> Frame:
        """Later, different values of points that were stored already: each with the one that it replaced.

        By coin, resolution and ``ts``, and those of one point in the order in which they became known. ``price``,
        ``market_cap`` and ``volume`` are the later values, and ``replaced_price``, ``replaced_market_cap`` and
        ``replaced_volume`` those before. ``received_at`` is when the response came that had them, ``run`` the run that
        asked for it, and ``body`` its file in the landing. :meth:`prices` shows the newest values, or with `as_of`
        those that were known then.

        Parameters
        ----------
        coins
            Only these, as a list of ids or as a text (``"bitcoin"``, ``"bitcoin,ethereum"``); by default all.
        start, end
            Of points with a ``ts`` from `start` on to before `end`, in UTC.
        resolution
            Only at this one; by default at all of them.

        Raises
        ------
        ValueError
            `start` is not before `end`.
        DataError
            Nothing was ever stored of one of the `coins`.
        """

    def quarantine(self, ids: Sequence[str] | None = None, *, rule: str | None = None, stored: bool = False) -> Frame:
        """The refused records that are not known to be stored, the newest first, quotes before points.

        The columns are those of :class:`coinmill.records.Quarantined`; ``raw`` is the record's own text.

        Parameters
        ----------
        ids
            Only these, such as ``["s12", "t3"]``.
        rule
            Only those that broke this rule.
        stored
            Also those that were stored when they were validated again.

        Raises
        ------
        ValueError
            A number is none, or is not there.
        ConfigError, StoreError
            Each with its remedy in the message.
        """

    def requeue(self, ids: Sequence[str] | None = None, *, rule: str | None = None) -> list[RequeueReport]:
        """Validate refused records again, by the rules in force; what is accepted now is stored.

        A new run over the old bytes, one for each slot and each resolution: it adds rows and alters none. By
        default all records that are not known to be stored, but for those whose bodies were pruned.

        Raises
        ------
        ValueError
            A number is none, or is not there.
        HeldError, DataError, ConfigError, StoreError
            Each with its remedy in the message.
        """

    def replay(self, run: str) -> Replay:
        """Rebuild a run from its landing in a scratch database, by the rules in force, and compare.

        ``run`` is its id, or the beginning or the end of it, as ``runs`` has them.

        By the same rules the hashes are the same; by others (``Mill(min_price=1)``, ``Mill(refuse="zero_price")``)
        ``differences`` holds each row that differs. No database is changed and no call is spent.

        Raises
        ------
        ValueError
            There is no such run, several can be meant, or it stored nothing.
        DataError
            A landed body is gone, pruned or damaged.
        """

    def prune(self, *, dry_run: bool = False) -> PruneReport:
        """Delete points and received bytes that are more days old than the settings ``retention_days_5m``,
        ``retention_days_1h``, ``retention_days_1d`` and ``retention_days_landing`` say.

        None of these settings is set by default, and then nothing is deleted. It needs the owner of PostgreSQL
        databases (``snapshot_owner_url``, ``timeseries_owner_url``), and runs beside everything else. Killed and
        called again, it resumes.

        Parameters
        ----------
        dry_run
            Only say what would be deleted.

        Raises
        ------
        HeldError, ConfigError, StoreError
            Each with its remedy in the message.
        """

    def rules(self, *, days: int = 7) -> Rules:
        """The rules that quotes and charts are held against, each with its verdict, bound, reason, source and counts.

        >>> {rule["rule"]: rule["newest"] for rule in mill.rules()["rules"] if rule["newest"]}

        Parameters
        ----------
        days
            How many days ``recent`` counts back.

        Raises
        ------
        ValueError
            No days, or more than a century.
        ConfigError, StoreError
            Each with its remedy in the message.
        """

    def runs(self, limit: int = 20) -> Frame:
        """The newest runs of both databases, newest first; the columns are those of :class:`coinmill.records.Run`.

        >>> mill.runs()[0]["state"]
        'complete'
        """

    def status(self) -> Status:
        """What the databases hold, and how many calls are left this month."""

    def doctor(self, *, offline: bool = False) -> Doctor:
        """Whether all is there that runs need: databases, landing, clock, API, key and plan. It changes nothing.

        ``state`` is the worst of its ``checks``, each of which is ``ok``, a ``warning`` or ``failed``, with the remedy
        in its ``message``. With ``offline=True`` the API is left out, and no call is made.

        >>> [check["message"] for check in mill.doctor()["checks"] if check["state"] != "ok"]
        """

    def config(self) -> ShownSettings:
        """Each setting with its value in force, and whether a keyword, a variable, the file or a default gives it.

        Keys and passwords are ``***``.
        """

@final
class Frame:
    """Rows as Arrow: polars, pandas, pyarrow and duckdb read it as it is, through the Arrow PyCapsule interface.

    >>> polars.DataFrame(mill.quotes())
    >>> duckdb.sql("select * from frame limit 5")     # with frame = mill.prices(["bitcoin"])

    It is a sequence of rows too, each a plain dict, and needs no other library for that:

    >>> frame[0]["price"]                             # a row, from the end where negative: frame[-1]
    >>> frame[100:200]                                # rows as a Frame; without a step nothing is copied
    >>> frame["price"]                                # a column's values as a list
    >>> for row in frame: ...

    Instants are ``timestamp[ms, UTC]``, and in rows ``datetime`` with UTC as its zone; numbers are ``float64``; null is
    None, and null at CoinGecko. Printed, numbers have seven digits and times no zeros that say nothing; the values
    themselves are never rounded.
    """

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""

    @property
    def schema(self) -> dict[str, str]:
        """The type of each column by its name: ``text``, ``int64``, ``float64``, ``bool`` or ``timestamp[ms, UTC]``.

        The Arrow schema, in which texts that repeat are dictionaries, is ``pyarrow.schema(frame)``.
        """

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns there are."""

    @property
    def missing(self) -> list[Missing]:
        """What was asked for and is not stored: of prices by coin and span, of quotes by coin of the slot."""

    @property
    def pin(self) -> str | None:
        """The pin that the rows were read at: ``as_of=frame.pin`` reads the same again. None where there is none."""

    @property
    def totals(self) -> Frame | None:
        """The sums of :meth:`Mill.gaps`, over everything that was asked for; None of any other frame."""

    def head(self, n: int = 10) -> Frame:
        """The first `n` rows; where `n` is negative, all but the last ones."""

    def tail(self, n: int = 10) -> Frame:
        """The last `n` rows; where `n` is negative, all but the first ones."""

    def select(self, columns: Sequence[str]) -> Frame:
        """These columns, in this order; nothing is copied.

        Raises
        ------
        ValueError
            There is no such column; the message has those that there are.
        """

    def wide(self, value: str = "price", *, every: str | None = None) -> Frame:
        """One row an instant and one column a coin, by their ids, with the values of the column `value`.

        No value is invented: a cell without a point is null. Points of ``5m`` and ``1h`` have CoinGecko's own
        timestamps, which coins do not share, so these want a grid:

        >>> mill.prices(start="2026-01-01").wide(every="1h")

        Parameters
        ----------
        every
            A length such as ``5m``, ``4h`` or ``1d``. The rows are then all its multiples in UTC, from the first to the
            last that has a point, and a cell is the newest point after the row before, up to and with its own
            instant: what was known by then, and no older than `every`. Without it, the rows are the instants at which
            any coin has a point.

        Raises
        ------
        ValueError
            The frame has no ``coin_id``, or none of ``ts`` and ``snapshot_time``, or `value` is no column of numbers;
            `every` is no length; or the grid would have more than 200 million cells.
        """

    def returns(
        self, kind: Literal["simple", "log"] = "simple", *, value: str = "price", step: str | None = None
    ) -> Frame:
        """The return of each row on the same coin's row before: ``coin_id``, ``ts`` and ``simple_return`` or
        ``log_return``.

        ``simple`` is ``value / before - 1``, ``log`` is ``ln(value / before)``. It is null at a coin's first row, where
        one of the values is null or not positive, and across a hole, which is where the rows are more than two and a
        half steps apart. The rows are those of this frame, in its order.

        Parameters
        ----------
        step
            The usual time between a coin's points, such as ``1h``; by default the median in this frame.

        Raises
        ------
        ValueError
            As in :meth:`wide`, or `kind` is neither.
        """

    def plot(
        self,
        value: str | None = None,
        *,
        kind: Literal["line", "candle"] | None = None,
        log: bool = False,
        ax: Any = None,
    ) -> Any:
        """A chart over time in UTC: a line for each coin, or candles where the frame has them.

        What is not there is a gap in the line: where a value is null, and where the points are more than two and a half
        of their usual steps apart.

        >>> mill.prices("bitcoin,ethereum").plot(log=True)

        Parameters
        ----------
        value
            The column; by default ``price``, ``close`` or ``current_price``, or the only one of numbers there is.
        kind
            ``candle`` for a frame with ``open``, ``high``, ``low`` and ``close``, and by default for one with a single
            coin; else ``line``.
        log
            True for a logarithmic axis, on which coins of different prices can be compared.
        ax
            The matplotlib axes to draw on; by default those of a new figure.

        Returns
        -------
        matplotlib.axes.Axes or plotly.graph_objects.Figure
            Of whichever library is installed, matplotlib first.

        Raises
        ------
        ImportError
            Neither is installed: ``pip install 'coinmill[plot]'``.
        ValueError
            The frame has no ``coin_id`` or no instants, or no such column of numbers.
        """

    def to_dicts(self) -> list[dict[str, Any]]:
        """All rows as plain dicts."""

    def to_arrow(self) -> Any:
        """A ``pyarrow.Table``.

        Raises
        ------
        ImportError
            pyarrow is not installed: ``pip install 'coinmill[arrow]'``.
        """

    def to_polars(self) -> Any:
        """A ``polars.DataFrame``.

        Raises
        ------
        ImportError
            polars is not installed: ``pip install 'coinmill[polars]'``.
        """

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame``; texts that repeat are categories.

        Raises
        ------
        ImportError
            pandas or pyarrow is not installed: ``pip install 'coinmill[pandas]'``.
        """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any: ...
    def __arrow_c_schema__(self) -> Any: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    @overload
    def __getitem__(self, key: SupportsIndex, /) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice, /) -> Frame: ...
    @overload
    def __getitem__(self, key: str, /) -> list[Any]: ...
    def _repr_html_(self) -> str: ...

@final
class Stream:
    """A read that is larger than memory: an iterator of frames, each read when it is asked for, all as of one pin.

    It is a table for Arrow, too, whose batches are pulled one after the other:
    ``pyarrow.RecordBatchReader.from_stream`` takes it, and duckdb reads from that. What was read is not read again.
    """

    def __iter__(self) -> Self: ...
    def __next__(self) -> Frame: ...
    def __length_hint__(self) -> int: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    @property
    def pin(self) -> str | None:
        """The pin that all frames are read at."""

@final
class Sim:
    """A simulated CoinGecko server on this machine, for trials and tests.

    >>> with coinmill.Sim(market_size=300) as sim:
    ...     coinmill.Mill(**sim.settings, data_dir="trial").run_snapshot()

    Parameters
    ----------
    seed, market_size
        The market's seed and its number of coins: the same ones and the same clock give the same responses.
    recorded
        A folder of recordings to serve instead.
    clock, frozen
        Where its clock starts (now), and whether it stands still.
    faults
        What goes wrong, such as ``429:times=2,retry_after=1``; ``coinmill sim --help`` lists them.
    port
        0 takes a free one.
    """

    def __new__(
        cls,
        *,
        seed: int = 1,
        market_size: int = 1000,
        recorded: str | PathLike[str] | None = None,
        clock: str | date | datetime | None = None,
        frozen: bool = False,
        faults: Sequence[str] | None = None,
        port: int = 0,
    ) -> Self: ...
    @property
    def url(self) -> str:
        """The API's base URL."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings with which a `Mill` uses this market."""

    @property
    def now(self) -> datetime:
        """Its clock."""

    @property
    def calls(self) -> int:
        """How many calls it has been sent."""

    def advance(self, seconds: float) -> None:
        """Move its clock."""

    def set_clock(self, instant: str | date | datetime) -> None:
        """Set its clock."""

    def next_recording(self) -> datetime | None:
        """Move to the next recording's instant; None after the last."""

    def change_coin(
        self, coin: str, *, listed: bool | None = None, symbol: str | None = None, name: str | None = None
    ) -> None:
        """Delist a coin, list it again, or give it another symbol or name, from now on."""

    def add_fault(self, fault: str) -> None:
        """Let one more thing go wrong."""

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""

    def stop(self) -> None:
        """Stop serving. Leaving the ``with`` block does it too."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, _kind: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None, /
    ) -> None: ...

def indicators(
    frame: object,
    *,
    coin: str | None = None,
    time: str | None = None,
    value: str | None = None,
    sma: int | Sequence[int] | None = (7, 30, 90),
    ema: int | Sequence[int] | None = (7, 30, 90),
    rsi: int | None = 14,
    macd: tuple[int, int, int] | None = (12, 26, 9),
    bollinger: tuple[int, float] | None = (20, 2.0),
    volatility: int | None = 30,
    support: int | None = 20,
    trend: tuple[int, int, float] | None = (7, 30, 0.01),
    returns: bool = True,
    cyclical: bool = True,
    max_gap: float | timedelta | None = 2.5,
) -> Frame:
    """The rows of a table with technical indicators of each coin as further columns.

    >>> frame = mill.prices(["bitcoin", "ethereum"], resolution="1h")
    >>> coinmill.indicators(frame, sma=(7, 30, 90), rsi=14).to_polars()

    A value comes from its own row and those before it, never from a later one, and is null until there are as many
    points as it needs (its warm-up, below). All rows stay, in their order. ``docs/indicators.md`` has the sources.

    Parameters
    ----------
    frame
        A :class:`Frame`, or any table with Arrow's interface: pyarrow, polars, pandas from 2.2, duckdb. The rows of a
        coin are in the order of time; those of several coins may be mixed.
    coin, time, value
        The columns of coins, instants and prices; by default ``coin_id`` where there is one (else all rows are one
        series), ``ts``, and ``price`` or else ``close``. Instants without a zone are taken as UTC, and are used to the
        microsecond.
    sma
        ``sma_n``: the mean of the last n prices. Warm after n points.
    ema
        ``ema_n``: exponential moving average, ``e += 2 / (n + 1) * (price - e)``, from the mean of the first n prices
        on. Warm after n points.
    rsi
        ``rsi_n``, from 0 to 100: ``100 * gain / (gain + loss)``, the averages of the rises and of the falls, smoothed
        by ``a = (a * (n - 1) + next) / n`` from the mean of the first n on. Warm after n + 1 points; null where the
        price did not move at all (0 / 0, for which TA-Lib has 0). Source: Wilder, New Concepts in Technical Trading
        Systems (1978).
    macd
        (fast, slow, signal): ``macd``, the fast EMA less the slow one, ``macd_signal``, its EMA, and
        ``macd_histogram``, their difference. Warm after slow + signal - 1 points, all three; the fast EMA begins
        together with the slow one, as in TA-Lib. Source: Appel, The Moving Average Convergence-Divergence Trading
        Method (1979).
    bollinger
        (n, k): ``bollinger_middle``, the mean of n prices, ``bollinger_upper`` and ``bollinger_lower``, k population
        standard deviations above and below it. Warm after n points. Source: Bollinger on Bollinger Bands (2001).
    volatility
        ``volatility_n``, realised, a year (0.6 is 60 %): ``sqrt(sum of squared log returns * 365 days / time)`` over
        the last n returns and the time they took. Warm after n + 1 points. Source: Andersen, Bollerslev, Diebold and
        Labys, Econometrica 71 (2003).
    support
        ``support_n`` and ``resistance_n``: the lowest and highest of the last n prices, this one included. Warm after n
        points. Source: Donchian's channel; TA-Lib's MIN and MAX.
    trend
        (short, long, band): ``trend``, 1 where the mean of the last `short` prices is above that of the last `long` by
        more than the part `band`, -1 where it is below by more, else 0. Warm after `long` points. Source: Brock,
        Lakonishok and LeBaron, The Journal of Finance 47 (1992).
    returns
        ``simple_return``, ``p / q - 1``, and ``log_return``, ``ln(p / q)``, where q is the price of the point before.
    cyclical
        ``hour_sin``, ``hour_cos``, ``weekday_sin``, ``weekday_cos``: sine and cosine of the part of the day, and of the
        week from Monday on, that has passed (``2 * pi * t / T``), in UTC. Never null.
    max_gap
        Windows count points, at whatever distance. A row without a price (null or NaN) is no point: its indicators are
        null, and the next point is as if the row were not there. Where the next point comes more than so many usual
        steps after the last one (the median of the 15 steps before), it is the first of a new series and all warm-ups
        begin anew. A timedelta sets the longest gap itself; with None there is none.

    None, False or an empty sequence leaves an indicator out. Lengths are numbers of points from 1 to 100,000.

    Raises
    ------
    ValueError
        A stamp of a coin comes twice or before an earlier one (the message names both); a column is not there, is there
        already, or is of another type; a coin or an instant is null; a length is out of range.
    TypeError
        `frame` is no table, or a parameter is not what it has to be.
    """

@final
class Indicators:
    """The indicators of one coin, point by point: :func:`indicators` for data that is still arriving.

    >>> bitcoin = coinmill.Indicators(sma=(7, 30), rsi=14)
    >>> bitcoin.push("2026-01-31T00:05Z", 78_000.0)["sma_7"]      # None: not warm yet

    One instance holds one coin, in memory that does not grow. The same points give the same numbers as
    :func:`indicators`, bit for bit: both run the same code. Parameters are those of :func:`indicators`.

    It can be pickled and copied: the copy goes on where this one is, to the bit. A pickle is for the same version of
    coinmill; another one refuses it.
    """

    def __new__(
        cls,
        *,
        sma: int | Sequence[int] | None = (7, 30, 90),
        ema: int | Sequence[int] | None = (7, 30, 90),
        rsi: int | None = 14,
        macd: tuple[int, int, int] | None = (12, 26, 9),
        bollinger: tuple[int, float] | None = (20, 2.0),
        volatility: int | None = 30,
        support: int | None = 20,
        trend: tuple[int, int, float] | None = (7, 30, 0.01),
        returns: bool = True,
        cyclical: bool = True,
        max_gap: float | timedelta | None = 2.5,
    ) -> Self: ...
    def push(self, ts: str | date | datetime, price: float | None) -> dict[str, float | int | None]:
        """Take the next point; returns the value of each indicator after it, by the name of its column.

        Parameters
        ----------
        ts
            Its instant; without a zone it is UTC.
        price
            Its price. None, or NaN, is a hole: see ``max_gap`` of :func:`indicators`.

        Raises
        ------
        ValueError
            `ts` is not after the last one. Nothing is changed by it.
        """

    @property
    def columns(self) -> list[str]:
        """The names of the values, in their order."""

def demo(data_dir: str | PathLike[str] = ...) -> DemoReports:
    """Run a snapshot and the time series against a simulated market, into SQLite in a folder of their own.

    No network is used, and no setting is taken from outside.
    """

def _main(arguments: Sequence[str]) -> int: ...
def _work() -> None: ...
