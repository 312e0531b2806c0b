"""What docker/helm-values.yaml expects in its namespace, made from `.env`: secrets, set-up scripts and volumes.

It is printed as one list for `kubectl apply -f -`, so no password is on a command line or in a file of its own.
"""

from __future__ import annotations

import json
from typing import Any

from environment import ROOT, Environment, Refused

# what each service is given as files; which of them a pod sees is said in docker/helm-values.yaml
FILES = ("postgres", "roles", "admin", "ca.pem", "owner.toml", "writer.toml", "reader.toml")
VOLUMES = {"coinmill-landing": "50Gi", "coinmill-logs": "10Gi"}


def manifests(env: Environment) -> str:
    """A list of Kubernetes objects, as JSON."""
    if not env.server_of_its_own:
        raise Refused(f"{env.shown} lacks POSTGRES_HOST: the name of a PostgreSQL server that the cluster reaches")
    files = env.files()
    scripts = [*sorted((ROOT / "db-init").glob("*.sql")), ROOT / "docker/db-init.sh", ROOT / "docker/airflow-init.sh"]
    items = [
        kept("Secret", "coinmill", stringData={name: files[name] for name in FILES}),
        # the names are those of Airflow's Helm chart
        kept(
            "Secret",
            "coinmill-airflow",
            stringData={
                "connection": env.airflow_url("psycopg2"),
                "connection-async": env.airflow_url("psycopg"),
                "fernet-key": env["AIRFLOW_FERNET_KEY"],
                "api-secret-key": env["AIRFLOW_SECRET_KEY"],
                "jwt-secret": env["AIRFLOW_JWT_SECRET"],
            },
        ),
        kept("ConfigMap", "coinmill-setup", data={path.name: path.read_text() for path in scripts}),
        *(
            kept(
                "PersistentVolumeClaim",
                name,
                # of several hosts
                spec={"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": size}}},
            )
            for name, size in VOLUMES.items()
        ),
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2)


def kept(kind: str, name: str, **content: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **content}
