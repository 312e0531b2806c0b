"""From nothing to a scheduled run that is green, as `make stack SIM=1` does it."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from airflow_api import DAG as DAG_RUNS
from airflow_rest import SNAPSHOT, TIMESERIES, wait_for
from compose import service_of
from deployment import HALF_HOUR, WAITS, Deployment, Undisturbed
from environment import Refused
from pods import Namespace
from postgres import free_port
from spill import found_in, found_in_layers, printed, secrets_of, shown


def scheduled(deployment: Deployment) -> str:
    run = deployment.airflow.runs()[0]
    assert run["run_type"] == "scheduled"
    return str(run["dag_run_id"])


def test_the_first_scheduled_run_is_complete_and_equals_an_undisturbed_one(
    deployment: Deployment, twin: Undisturbed
) -> None:
    run = scheduled(deployment)
    snapshot, timeseries = deployment.airflow.xcom(run, SNAPSHOT), deployment.airflow.xcom(run, TIMESERIES)
    assert (snapshot["state"], snapshot["expected"], snapshot["stored"]) == ("complete", 20, 20)
    assert (timeseries["state"], timeseries["missing"]) == ("complete", [])
    assert timeseries["stored"] > 20 * 24 * 11  # five minutes apart, of one day
    assert deployment.content() == twin.content()


def test_rows_are_the_writers_and_tables_the_owners(deployment: Deployment) -> None:
    owner = "select distinct tableowner from pg_tables where schemaname in ('snapshot', 'timeseries')"
    for database in ("airflow_snapshot", "airflow_timeseries"):
        assert deployment.psql(database, owner) == "coinmill_owner"
    for service, role in (("scheduler", "coinmill_writer"), ("tools", "coinmill_reader")):
        said = deployment.docker_compose(
            "run", "--rm", "-T", "--no-deps", "--entrypoint", "cat", service, "/run/secrets/coinmill.toml"
        )
        assert f"//{role}:" in said, service
    names = "select datname || ' ' || pg_get_userbyid(datdba) from pg_database where datname like 'airflow%' order by 1"
    assert deployment.psql("postgres", names).splitlines() == [
        "airflow airflow",
        "airflow_snapshot coinmill_owner",
        "airflow_timeseries coinmill_owner",
    ]


def test_what_rust_logs_is_in_the_tasks_log(deployment: Deployment) -> None:
    log = deployment.airflow.log(scheduled(deployment), SNAPSHOT)
    ours = [line["event"] for line in log if str(line.get("logger")).startswith("coinmill.")]
    assert any("complete, 20 of 20 coins" in event for event in ours), log


def test_a_second_run_of_the_slot_adds_nothing(deployment: Deployment, twin: Undisturbed) -> None:
    calls = deployment.calls()
    run = deployment.airflow.trigger(deployment.now.isoformat())
    assert deployment.airflow.end_of(run) == "success"
    for task in (SNAPSHOT, TIMESERIES):
        report = deployment.airflow.xcom(run, task)
        assert (report["stored"], report["calls"]) == (0, 0)
    assert deployment.calls() == calls
    assert deployment.content() == twin.content()


def test_no_secret_is_in_settings_logs_or_arguments(deployment: Deployment) -> None:
    wanted = secrets_of(deployment.env)
    containers = deployment.compose.containers(stopped=True, one_shots=True)
    assert {"db-init", "airflow-init", "coinmill-init", "scheduler"} <= {service_of(one) for one in containers}
    assert found_in(shown(deployment), wanted) == set()
    logs = deployment.docker_compose("exec", "-T", "scheduler", "grep", "-rh", "", "/opt/airflow/logs")
    assert "coins" in logs
    assert found_in(logs.encode(), wanted) == set()


def test_no_command_of_the_start_has_a_secret_in_its_arguments(deployment: Deployment) -> None:
    for program in (b"airflow\0db\0migrate", b"coinmill\0init", b"airflow\0users\0", b"psql\0"):
        assert any(program in one for one in deployment.commands), program
    assert found_in(b"\0".join(deployment.commands), secrets_of(deployment.env)) == set()


def test_no_secret_is_in_a_layer_of_an_image(deployment: Deployment) -> None:
    images = {one["Image"] for one in deployment.compose.containers(stopped=True, one_shots=True)}
    # a control: what the image of Airflow holds is found by the same search
    wanted = {**secrets_of(deployment.env), "the DAG": b'dag_id="crypto_market"'}
    assert set().union(*(found_in_layers(image, wanted) for image in images)) == {"the DAG"}


def test_only_those_that_write_know_a_writer_and_only_one_the_owner(deployment: Deployment) -> None:
    known: dict[str, set[str]] = {}
    for one in deployment.compose.containers(stopped=True, one_shots=True):
        files = [Path(mount["Source"]) for mount in one["Mounts"] if mount["Destination"].startswith("/run/secrets/")]
        said = "\n".join([*one["Config"]["Env"], *(file.read_text() for file in files)])
        known[service_of(one)] = set(re.findall(r"//(coinmill_\w+):", said))
    assert {service: roles for service, roles in known.items() if roles} == {
        "scheduler": {"coinmill_writer"},
        "coinmill-init": {"coinmill_owner"},
    }
    assert {"api-server", "dag-processor", "triggerer", "airflow-init", "db-init", "sim"} <= set(known)


def test_rows_are_written_by_the_writer(deployment: Deployment, twin: Undisturbed) -> None:
    deployment.psql("postgres", "alter system set log_statement = 'mod'; select pg_reload_conf()")
    deployment.psql("postgres", "alter system set log_line_prefix = 'role=%u database=%d '; select pg_reload_conf()")
    assert deployment.airflow.end_of(deployment.next_slot()) == "success"
    twin.run(deployment.now)
    deployment.psql("postgres", "alter system reset all; select pg_reload_conf()")
    [server] = deployment.compose.containers("postgres")
    log = printed("docker", "logs", server["Id"]).decode()
    wrote = re.findall(r"role=(coinmill_\w+) database=(\w+) LOG: [^:]*:\s*(insert|copy|with) ", log, re.IGNORECASE)
    assert {(role, database) for role, database, _ in wrote} == {
        ("coinmill_writer", "airflow_snapshot"),
        ("coinmill_writer", "airflow_timeseries"),
    }


def test_what_the_helm_values_run_works_in_the_image(deployment: Deployment, tmp_path: Path) -> None:
    pods = Namespace(deployment, tmp_path)
    job = pods.values["migrateDatabaseJob"]
    volumes = pods.values["volumes"] + job["extraVolumes"]
    image = deployment.env["STACK_IMAGE"]
    said = []
    for container in job["extraInitContainers"]:
        environ = {one["name"]: one["value"] for one in container.get("env", [])}
        options = [*pods.mounted(volumes, container["volumeMounts"]), "--entrypoint", container["command"][0]]
        own = container["image"] if "{{" not in container["image"] else image
        said.append(pods.run(own, container["command"][1:], options, **environ))
    mounts = pods.values["volumeMounts"] + job["extraVolumeMounts"]
    said.append(pods.run(image, job["args"], pods.mounted(volumes, mounts), **pods.variables()))
    assert "the databases and roles are there" in said[0]
    assert "Airflow's database is up to date" in said[-1]

    scheduler = pods.values["scheduler"]
    mounts = pods.values["volumeMounts"] + scheduler["extraVolumeMounts"]
    options = pods.mounted(pods.values["volumes"] + scheduler["extraVolumes"], mounts)
    # stale by the machine's clock, since the market's stands at New Year
    status = pods.run(image, ["sh", "-c", "coinmill status --json; [ $? = 3 ]"], options, **pods.variables())
    assert "coinmill_writer" in status

    for service, name in (("scheduler", "scheduler"), ("dag-processor", "dagProcessor"), ("triggerer", "triggerer")):
        deployment.docker_compose("exec", "-T", service, *pods.values[name]["livenessProbe"]["command"])


def test_make_stack_waits_for_a_run_that_ends_after_it_began(deployment: Deployment) -> None:
    # the newest run has failed, those before it are green: of before a key was corrected, say, or an upgrade
    old = deployment.next_slot()
    assert deployment.airflow.end_of(old) == "success"
    deployment.airflow.call(f"{DAG_RUNS}/{quote(old)}", "PATCH", {"state": "failed"})
    late = (deployment.now + HALF_HOUR).isoformat()
    deployment.now += 2 * HALF_HOUR
    deployment.control("/clock", "POST", {"set": deployment.now.isoformat()})
    with deployment.begin("up") as starting:
        assert starting.stdout is not None
        for line in starting.stdout:
            if WAITS in line:
                time.sleep(5)
                assert starting.poll() is None, "an old run was taken for the new one"
                deployment.airflow.trigger(late)
            if "run_market_snapshot: failed" in line:
                # its half-hour was over; what the schedule does at the next one
                deployment.next_slot()
                # the API refuses for a few seconds, and then no more
                deployment.crash("postgres")
    assert starting.returncode == 0


def test_a_run_is_started_where_the_schedule_has_none_due(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {run["dag_run_id"] for run in deployment.airflow.runs()}
    monkeypatch.setattr("airflow_api.DUE_SECONDS", 0)
    # of the half-hour by this machine's clock, which the market's has not reached
    with pytest.raises(Refused, match=r"run_market_snapshot failed: slot .* is still to come"):
        deployment.airflow.wait_for_green_run(datetime.now(timezone.utc), 60, print)
    assert len({run["dag_run_id"] for run in deployment.airflow.runs()} - before) == 1


def test_notebooks_read_as_the_reader_and_need_a_token(deployment: Deployment) -> None:
    port = str(free_port())
    deployment.docker_compose("build", "notebooks", WHEEL="prebuilt")

    def inside(*command: str) -> str:
        return deployment.docker_compose("exec", "-T", "notebooks", *command)

    def status(path: str, token: str = "") -> int:
        request = Request(
            f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"token {token}"} if token else {}
        )
        try:
            with urlopen(request, timeout=30) as response:
                return int(response.status)
        except HTTPError as refused:
            return refused.code

    try:
        deployment.docker_compose("up", "-d", "--no-deps", "--no-build", "notebooks", STACK_NOTEBOOKS_PORT=port)
        asked = "from coinmill import Mill; print(len(Mill().quotes()), len(Mill().prices(resolution='5m')) > 5000)"
        assert inside("python", "-c", asked) == "20 True\n"
        refused = "import coinmill; coinmill.Mill().run_snapshot()"
        assert "a run needs the writer" in inside("sh", "-c", f'python -c "{refused}" 2>&1 || true')
        # the examples are for reading, and bring their own market: none of it gets into the databases
        assert "Read-only" in inside("sh", "-c", "touch examples/x 2>&1 || touch own/x")
        inside(
            *[
                "jupyter",
                "nbconvert",
                "--to",
                "notebook",
                "--execute",
                "--output-dir",
                "/tmp",
                "examples/first_steps.ipynb",
            ]
        )
        assert inside("python", "-c", asked) == "20 True\n"

        wait_for("Jupyter", lambda: "token=" in inside("jupyter", "server", "list"))
        token = inside("jupyter", "server", "list").partition("token=")[2].split()[0]
        assert (status("/api/contents/examples"), status("/api/contents/examples", token)) == (403, 200)
        log = deployment.docker_compose("logs", "notebooks")
        assert f"http://127.0.0.1:{port}/lab?token={token}" in log
    finally:
        deployment.docker_compose("rm", "-sf", "notebooks")
