"""The shapes of what the verbs return: plain dicts, typed here.

Instants, slots among them, are RFC 3339 texts in UTC with milliseconds, such as ``2026-01-31T00:30:00.000Z``. In rows
of a ``Frame`` (`Run`, `Gap`, `GapsTotal`, `Quarantined`, `Revision`) they are ``datetime`` in UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, TypeAlias, TypedDict

Resolution: TypeAlias = Literal["5m", "1h", "1d"]


class Timings(TypedDict):
    """Where the time went, in seconds."""

    fetch_s: float
    validate_s: float
    commit_s: float


class Drift(TypedDict):
    """A field of CoinGecko's response bodies that is unknown, or known and not there."""

    endpoint: str
    field: str
    deviation: Literal["unknown", "missing"]
    records: int
    first_seen: str
    last_seen: str


class Absent(TypedDict):
    """Something that was to be stored and is not, and why.

    ``what`` names it for people: the coin, or ranks or records where it is not known which coins they are; then
    ``coin_id`` is None.
    """

    coin_id: str | None
    what: str
    reason: str


class RefusedCoin(TypedDict):
    """A coin that is not stored because the setting ``refuse`` names the rules that it breaks."""

    coin_id: str
    rules: list[str]


class UnknownCoin(TypedDict):
    """A coin asked for by id that CoinGecko does not know: what may have been meant, or since when it is delisted."""

    coin_id: str
    did_you_mean: str | None
    delisted_at: str | None


class RunReport(TypedDict):
    """The result of a snapshot. Counts are of coins.

    A coin whose record was refused is in ``missing``, with the rules that it breaks as the reason. Coins in ``refused``
    (by your own settings) and in ``unknown`` are not missing.
    """

    run: str
    kind: Literal["snapshot"]
    snapshot_time: str
    state: Literal["complete", "partial", "failed"]
    expected: int
    received: int
    accepted: int
    rejected: int
    stored: int
    repeated: int
    missing: list[Absent]
    advice: str | None
    refused: list[RefusedCoin]
    unknown: list[UnknownCoin]
    calls: int
    recovered: int
    score: float | None
    warned: int
    warnings: dict[str, int]
    rejections: dict[str, int]
    drift: list[Drift]
    content_hash: str | None
    landing_folder: str | None
    started_at: str
    finished_at: str
    timings: Timings
    error: str | None


class ListingReport(TypedDict):
    """The result of a run of the list of all coins. Counts are of coins, but ``stored``: rows added to their history.

    Where the day's list was stored before, ``calls``, ``recovered`` and ``stored`` are 0, and ``run`` is the one that
    stored it.
    """

    run: str
    kind: Literal["listing"]
    state: Literal["complete", "partial"]
    received_at: str
    expected: int
    received: int
    accepted: int
    rejected: int
    stored: int
    repeated: int
    missing: list[Absent]
    appeared: int
    renamed: int
    returned: int
    absent: int
    delisted: list[str]
    calls: int
    recovered: int
    drift: list[Drift]
    content_hash: str | None
    landing_folder: str | None
    started_at: str
    finished_at: str
    timings: Timings


class Candidate(TypedDict):
    """A row of :meth:`Mill.search`: a coin that can be meant."""

    coin_id: str
    symbol: str | None
    name: str | None
    market_cap_rank: int | None
    match: Literal["id", "symbol", "name", "part", "alike"]
    delisted_at: datetime | None


class Member(TypedDict):
    """A row of :meth:`Mill.universe`: a coin as it was in a snapshot, and what is known of it now."""

    snapshot_time: datetime
    market_cap_rank: int | None
    coin_id: str
    symbol: str
    name: str | None
    market_cap: float | None
    symbol_now: str | None
    name_now: str | None
    last_seen: datetime | None
    delisted_at: datetime | None


class SeriesReport(TypedDict):
    """The result of a run for time series. ``expected`` and ``received`` count charts, ``stored`` points.

    ``advice`` says what of the settings the plan cannot give; ``heal`` is a run of its own that fetched by the hour
    what had been lost.
    """

    run: str
    kind: Literal["timeseries", "backfill", "heal"]
    resolution: Resolution
    state: Literal["complete", "partial", "failed"]
    expected: int
    received: int
    stored: int
    revisions: int
    rejected: int
    postponed: int
    missing: list[Absent]
    advice: str | None
    heal: SeriesReport | None
    unknown: list[UnknownCoin]
    drift: list[Drift]
    calls: int
    recovered: int
    landing_folder: str | None
    started_at: str
    finished_at: str
    timings: Timings
    error: str | None


class HealReport(TypedDict):
    """What came of healing: a run for each resolution that had gaps. ``left`` counts charts without calls to spare."""

    state: Literal["complete", "partial"]
    runs: list[SeriesReport]
    left: int


class Gap(TypedDict):
    """A row of ``mill.gaps()``: a span of a coin's series in which points are missing."""

    coin_id: str
    resolution: Resolution
    kind: Literal["not_asked", "failed", "doubted", "refused", "source_empty", "lost", "healed"]
    starts_at: datetime
    ends_at: datetime
    lost_at: datetime | None


class GapsTotal(TypedDict):
    """A row of ``mill.gaps().totals``: what is missing of a series, or of all of a resolution (``coin_id`` is None), in
    percent of what is owed. Behind ``missing_pct`` is the part of each kind of gap.
    """

    coin_id: str | None
    resolution: Resolution
    owed_hours: float
    missing_pct: float
    not_asked_pct: float
    failed_pct: float
    doubted_pct: float
    refused_pct: float
    source_empty_pct: float
    lost_pct: float
    healed_pct: float


class Progress(TypedDict):
    """How far a run is: so many of what it counts have come. ``per_minute`` is the plan's pace; None is no limit."""

    received: int
    expected: int
    unit: Literal["coins", "charts", "days"]
    per_minute: int | None


Listener: TypeAlias = Callable[[Progress], object] | Literal[False]
"""Who is told how far a run is; False is nobody, not even a bar in a notebook."""


class Demand(TypedDict):
    """What the schedule asks for: coins, and the calls of one snapshot (``pages`` and ``lists``)."""

    top: int
    named: int
    pages: int
    lists: int
    charts: int


class Load(TypedDict):
    """Calls for one purpose; ``calls_per_month`` is of a month as long as the running one."""

    what: str
    calls_per_run: float
    calls_per_day: float
    calls_per_month: int


class Loads(TypedDict):
    """Calls by purpose, and all of them."""

    parts: list[Load]
    total: Load


class Risk(TypedDict):
    """Points of a coin that fall off."""

    coin_id: str
    points_from: str
    falls_off_at: str


class PlanReport(TypedDict):
    """What the schedule takes of the plan."""

    plan: str
    calls_per_minute: int | None
    demand: Demand
    loads: Loads
    runs_per_month: int
    credits_per_month: int | None
    room: int | None
    advice: str | None
    month: str
    credits: int
    needed: int
    short: int | None
    spare: int | None
    followed: int
    first_to_fall_off: Risk | None
    at_risk: list[Risk]


class DemoReports(TypedDict):
    """The results of the demo's two runs."""

    snapshot: RunReport
    timeseries: SeriesReport


class Run(TypedDict):
    """A row of ``mill.runs()``, which is the ledger."""

    run: str
    kind: str
    snapshot_time: datetime | None
    resolution: Resolution | None
    state: Literal["running", "complete", "partial", "failed", "abandoned"]
    started_at: datetime
    finished_at: datetime | None
    expected: int | None
    received: int | None
    accepted: int | None
    rejected: int | None
    stored: int | None
    calls: int | None
    score: float | None
    content_hash: str | None
    version: str
    rule_set: str
    api_url: str
    error: str | None


class Holdings(TypedDict):
    """What a snapshot database holds."""

    snapshots: int
    complete: int
    quotes: int
    coins: int
    quarantined: int
    first_snapshot_time: str | None
    newest_snapshot_time: str | None


class SeriesHoldings(TypedDict):
    """What a time series database holds at one resolution."""

    resolution: Resolution
    coins: int
    points: int
    first: str | None
    newest: str | None


class Warned(TypedDict):
    """How many quotes there are, and how many of them have a warning."""

    quotes: int
    warned: int


class Rule(TypedDict):
    """A rule with its counts.

    These are null where there is no snapshot or no database; ``newest`` of a chart's rule is always null.

    Quotes and charts have rules of the same name: ``of`` says what is held against it.
    """

    rule: str
    of: Literal["quote", "chart", "both"]
    version: int
    verdict: Literal["reject", "warn"]
    bound: str | None
    settings: dict[str, float]
    reason: str
    source: str
    newest: int | None
    recent: int | None


class Rules(TypedDict):
    """The rules in force. ``score`` is the formula of a snapshot's score, ``days`` how far ``recent`` goes back."""

    rule_set: str
    score: str
    days: int
    newest_snapshot: str | None
    newest: Warned | None
    recent: Warned | None
    rules: list[Rule]


class StoredListing(TypedDict):
    """The newest list of all coins: the run that stored it, when it was received, and how many coins it has."""

    run: str
    received_at: str
    coins: int


class Status(TypedDict):
    """What the databases hold, and how many calls are spent this month. ``snapshot_time`` is the current half-hour."""

    snapshot_url: str
    snapshot: Holdings
    newest: Warned | None
    listing: StoredListing | None
    timeseries_url: str
    timeseries: list[SeriesHoldings]
    snapshot_time: str
    snapshot_state: str
    is_stale: bool
    plan: str
    month: str
    credits: int
    credits_per_month: int | None
    advice: str | None
    landing_dir: str
    drift: list[Drift]


class Finding(TypedDict):
    """What ``Mill.doctor`` found of one thing, with the remedy where one is needed."""

    check: str
    state: Literal["ok", "warning", "failed"]
    message: str


class Doctor(TypedDict):
    """All findings; ``state`` is the worst of them."""

    state: Literal["ok", "warning", "failed"]
    checks: list[Finding]


class ShownSetting(TypedDict):
    """A setting and its value in force, as it would be written; a key is ``***``.

    ``place`` is the variable or the file that it comes from.
    """

    name: str
    value: str | None
    origin: Literal["argument", "environment", "file", "default"]
    place: str | None


class ShownSettings(TypedDict):
    """Every setting, and the settings file that was read."""

    file: str | None
    settings: list[ShownSetting]


class Quarantined(TypedDict):
    """A row of ``mill.quarantine()``: a refused record. ``id`` is ``s12`` in the snapshot database and ``t12`` in the
    time series database.
    """

    id: str
    run: str
    snapshot_time: datetime | None
    resolution: Resolution | None
    coin_id: str | None
    rule: str
    reason: str
    body: str
    record: int | None
    raw: str
    outcome: Literal["stored", "present", "refused"] | None
    requeued_by: str | None


class Revision(TypedDict):
    """A row of ``mill.revisions()``: a later value of a point, with the one that it replaced."""

    coin_id: str
    resolution: Resolution
    ts: datetime
    price: float | None
    market_cap: float | None
    volume: float | None
    replaced_price: float | None
    replaced_market_cap: float | None
    replaced_volume: float | None
    received_at: datetime
    run: str
    body: str


class StillRefused(TypedDict):
    """A record that is refused again, and why."""

    id: str
    reason: str


class RequeueReport(TypedDict):
    """The result of validating the refused records of one slot, or of one resolution, again."""

    run: str
    kind: Literal["requeue"]
    snapshot_time: str | None
    resolution: Resolution | None
    state: Literal["complete", "partial"]
    requeued: int
    stored: int
    present: int
    refused: list[StillRefused]
    content_hash: str | None
    started_at: str
    finished_at: str


class Missing(Absent):
    """Prices from ``start`` to before ``end``, or a quote of the slot of that span, that are not stored."""

    start: str
    end: str


class Difference(TypedDict):
    """A difference between what is stored and what was rebuilt."""

    row: str
    change: Literal["added", "removed", "changed"]
    column: str | None
    stored: str | None
    rebuilt: str | None


class Replay(TypedDict):
    """The result of rebuilding a run from its landing (the received bytes)."""

    run: str
    kind: str
    snapshot_time: str | None
    resolution: Resolution | None
    is_same: bool
    rule_set: str
    rule_set_now: str
    bodies: int
    stored_hash: str
    rebuilt_hash: str
    stored: int
    rebuilt: int
    differences: list[Difference]


class PrunedPart(TypedDict):
    """What was deleted, or would be, of one thing that is kept for a time; null is what it has not."""

    what: Literal["5m", "1h", "1d", "landing"]
    setting: str
    days: int
    before: str
    points: int | None
    revisions: int | None
    bodies: int | None
    bytes: int | None
    bodies_kept: int | None


class PruneReport(TypedDict):
    """The result of a prune; ``pruned`` is empty where no retention is set."""

    kind: Literal["prune"]
    state: Literal["complete"]
    is_dry_run: bool
    pruned: list[PrunedPart]


class Provenance(TypedDict):
    """Where a value came from, and when it was known.

    ``body`` is the landed file, below the landing folder; ``landed`` says whether it is still there with its hash.
    ``known_at`` is since when readers could see the value; None right after its commit.
    """

    run: str
    kind: str
    version: str
    rule_set: str
    request: str
    status: int
    body: str
    sha256: str
    bytes: int
    received_at: str
    known_at: str | None


class Origin(Provenance):
    """Where a value came from, and whether its bytes are there."""

    landed: Literal["there", "gone", "damaged"]


class RefusedRecord(TypedDict):
    """A record that was refused, by which rule and why, and its own bytes."""

    rule: str
    reason: str
    raw: str
    origin: Provenance


class ExplainedQuote(TypedDict):
    """A quote: every column of it, or why it is missing."""

    snapshot_time: str
    values: dict[str, str | int | float | bool | None] | None
    origin: Origin | None
    missing: str | None
    refused: list[RefusedRecord]


class Version(Origin):
    """A value that a point had."""

    price: float | None
    market_cap: float | None
    volume: float | None


class ExplainedPoint(TypedDict):
    """A point under CoinGecko's own stamp: every value that it had, the first one first; the last one stands."""

    resolution: Resolution
    ts: str
    versions: list[Version]
    refused: list[RefusedRecord]


class Explained(TypedDict):
    """The numbers of a coin at an instant, and where they came from."""

    coin_id: str
    at: str
    quote: ExplainedQuote | None
    points: list[ExplainedPoint]
