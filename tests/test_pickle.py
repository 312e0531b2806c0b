"""Pickles of a Mill: no secret inside, and no other key or database in silence where they are loaded."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import coinmill

KEY = "CG-hush0Hush1Hush2"
PASSWORD = "hush/Hush 3"
QUOTED = "hush%2FHush%203"
SNAPSHOT = f"postgresql://writer:{QUOTED}@db.example:5432/snapshot"
TIMESERIES = f"postgresql://db.example/timeseries?user=writer&password={QUOTED}"


def assert_silent(pickled: bytes) -> None:
    for secret in (KEY, PASSWORD, QUOTED, PASSWORD.replace(" ", "+"), "hush"):
        assert secret.encode() not in pickled


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_secrets_given_by_keyword_stay_here(monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    mill = coinmill.Mill(api_key=KEY, snapshot_url=SNAPSHOT, timeseries_url=TIMESERIES, top=7)
    pickled = pickle.dumps(mill, protocol)
    assert_silent(pickled)
    with pytest.raises(coinmill.ConfigError, match="COINMILL_API_KEY"):
        pickle.loads(pickled)
    monkeypatch.setenv("COINMILL_API_KEY", KEY)
    with pytest.raises(coinmill.ConfigError, match=r"writer:\*\*\*@db.*set COINMILL_SNAPSHOT_URL"):
        pickle.loads(pickled)
    monkeypatch.setenv("COINMILL_SNAPSHOT_URL", SNAPSHOT)
    with pytest.raises(coinmill.ConfigError, match="set COINMILL_TIMESERIES_URL"):
        pickle.loads(pickled)
    monkeypatch.setenv("COINMILL_TIMESERIES_URL", TIMESERIES)
    again = pickle.loads(pickled)
    assert repr(again) == repr(mill)
    assert "top=7" in repr(again)
    # what is needed is remembered from hand to hand, and looked for at each call
    twice = pickle.dumps(again, protocol)
    assert_silent(twice)
    monkeypatch.delenv("COINMILL_API_KEY")
    with pytest.raises(coinmill.ConfigError, match="COINMILL_API_KEY"):
        pickle.loads(twice)
    with pytest.raises(coinmill.ConfigError, match="COINMILL_API_KEY"):
        again.runs()


def test_secrets_of_the_environment_are_needed_there_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COINGECKO_API_KEY", KEY)
    (tmp_path / "coinmill.toml").write_text(f"snapshot_url = '{SNAPSHOT}'\n")
    pickled = pickle.dumps(coinmill.Mill())
    assert_silent(pickled)
    assert repr(pickle.loads(pickled)).startswith("Mill(plan='demo'")
    (tmp_path / "coinmill.toml").unlink()
    with pytest.raises(coinmill.ConfigError, match="set COINMILL_SNAPSHOT_URL"):
        pickle.loads(pickled)
    monkeypatch.setenv("COINMILL_SNAPSHOT_URL", SNAPSHOT.replace("/snapshot", "/other"))
    with pytest.raises(coinmill.ConfigError, match=r"names postgresql://writer:\*\*\*@db\.example:5432/other here"):
        pickle.loads(pickled)
    monkeypatch.setenv("COINMILL_SNAPSHOT_URL", SNAPSHOT)
    monkeypatch.delenv("COINGECKO_API_KEY")
    with pytest.raises(coinmill.ConfigError, match="COINMILL_API_KEY"):
        pickle.loads(pickled)


def test_a_password_may_be_another_by_now(monkeypatch: pytest.MonkeyPatch) -> None:
    pickled = pickle.dumps(coinmill.Mill(snapshot_url=SNAPSHOT))
    monkeypatch.setenv("COINMILL_SNAPSHOT_URL", SNAPSHOT.replace(QUOTED, "changed"))
    assert "writer:***@db.example" in repr(pickle.loads(pickled))


def test_a_database_without_a_password_goes_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COINMILL_SNAPSHOT_URL", "postgresql://reader@db.example/snapshot")
    pickled = pickle.dumps(coinmill.Mill(landing_dir=tmp_path))
    monkeypatch.delenv("COINMILL_SNAPSHOT_URL")
    monkeypatch.setenv("COINMILL_TIMESERIES_URL", "postgresql://reader@db.example/timeseries")
    again = pickle.loads(pickled)
    assert "snapshot_url='postgresql://reader@db.example/snapshot'" in repr(again)
    assert pickle.dumps(again) == pickled


def test_files_stay_the_same_ones_in_another_folder(
    sim: coinmill.Sim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    made = [coinmill.Mill(**sim.settings, top=5, data_dir="trial"), coinmill.Mill(**sim.settings, top=5)]
    for mill in made:
        mill.run_snapshot()
    pickled = [pickle.dumps(mill) for mill in made]
    monkeypatch.chdir(tmp_path / "elsewhere")
    for again in map(pickle.loads, pickled):
        # of the slot nothing is left to fetch
        assert again.run_snapshot()["calls"] == 0
        assert len(again.quotes()) == 5
    assert len(made[0].quotes()) == 5
    assert f"sqlite://{tmp_path}/trial/snapshot.db" in repr(made[0])
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_copy_in_this_process_keeps_its_key() -> None:
    mill = coinmill.Mill(api_key=KEY)
    for again in (copy.copy(mill), copy.deepcopy([mill])[0]):
        assert again is mill


def expected(mill: coinmill.Mill, results: multiprocessing.SimpleQueue[int]) -> None:
    results.put(mill.run_snapshot()["expected"])


def test_a_spawned_process_takes_the_key_from_its_environment(
    sim: coinmill.Sim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mill = coinmill.Mill(**sim.settings, api_key=KEY, data_dir=tmp_path, top=20)
    context = multiprocessing.get_context("spawn")
    for key, code in [(KEY, 0), (None, 1)]:
        if key:
            monkeypatch.setenv("COINMILL_API_KEY", key)
        else:
            monkeypatch.delenv("COINMILL_API_KEY")
        results = context.SimpleQueue()
        child = context.Process(target=expected, args=(mill, results))
        child.start()
        child.join(60)
        assert child.exitcode == code
        assert (code, results.empty()) in [(0, False), (1, True)]


def test_what_cannot_be_loaded_says_so_in_another_program(tmp_path: Path) -> None:
    (tmp_path / "mill.pickle").write_bytes(pickle.dumps(coinmill.Mill(api_key=KEY)))
    code = "import pickle; pickle.load(open('mill.pickle', 'rb'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "coinmill.ConfigError: this Mill had an API key when it was pickled" in done.stderr
    assert KEY not in done.stderr
