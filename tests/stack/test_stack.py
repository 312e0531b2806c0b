"""From nothing to a scheduled run that is green, as `make stack SIM=1` does it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from airflow_rest import SNAPSHOT, TIMESERIES
from compose import service_of
from deployment import HALF_HOUR, Deployment, Undisturbed
from environment import SECRETS
from pods import Namespace


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


def test_no_secret_is_in_images_settings_logs_or_arguments(deployment: Deployment) -> None:
    containers = deployment.compose.containers(stopped=True, one_shots=True)
    assert {"db-init", "airflow-init", "coinmill-init", "scheduler"} <= {service_of(one) for one in containers}
    images = {one["Image"] for one in containers}
    ids = [one["Id"] for one in containers]
    said = [printed("docker", "inspect", *ids, *images)]
    said += [printed("docker", "history", "--no-trunc", image) for image in images]
    said += [printed("docker", "logs", one) for one in ids]
    said += [printed("docker", "top", one["Id"], "-eo", "pid,args") for one in containers if one["State"]["Running"]]
    said += [deployment.docker_compose("exec", "-T", "scheduler", "grep", "-rh", "", "/opt/airflow/logs")]
    assert min(map(len, said)) > 20
    for name in SECRETS:
        assert deployment.env[name] not in "".join(said), name


def printed(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


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
    status = pods.run(image, ["coinmill", "status", "--json"], options, **pods.variables())
    assert "coinmill_writer" in status

    for service, name in (("scheduler", "scheduler"), ("dag-processor", "dagProcessor"), ("triggerer", "triggerer")):
        deployment.docker_compose("exec", "-T", service, *pods.values[name]["livenessProbe"]["command"])


def test_a_half_hour_that_ended_meanwhile_does_not_end_make_stack(deployment: Deployment) -> None:
    late = (deployment.now + HALF_HOUR).isoformat()
    deployment.now += 2 * HALF_HOUR
    deployment.control("/clock", "POST", {"set": deployment.now.isoformat()})
    run = deployment.airflow.trigger(late)
    assert deployment.airflow.end_of(run) == "failed"
    with deployment.begin("up") as starting:
        assert starting.stdout is not None
        for line in starting.stdout:
            if "run_market_snapshot: failed" in line:
                # what the schedule does at the next half-hour
                deployment.next_slot()
    assert starting.returncode == 0
