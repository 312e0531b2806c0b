"""The containers of docker/helm-values.yaml without a cluster: run by Docker with their files, variables and user."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from deployment import Deployment
from environment import ROOT

VALUES = ROOT / "docker" / "helm-values.yaml"


class Namespace:
    """What `kubectl apply` would have made of the manifests, as folders, and the chart's values."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment = deployment
        env = deployment.env
        # another server than the stack's own, by the name that it has in its network
        path = folder / ".env.pods"
        path.touch(mode=0o600)
        path.write_text(env.path.read_text() + "POSTGRES_HOST=postgres\n")
        listed = subprocess.run(
            [sys.executable, "docker/stack", "kubernetes", "--env", str(path)], cwd=ROOT, capture_output=True, text=True
        )
        assert listed.returncode == 0, listed.stderr
        self.kinds: dict[str, set[str]] = {}
        self.folder = folder
        for item in json.loads(listed.stdout)["items"]:
            kind, name = item["kind"], item["metadata"]["name"]
            self.kinds.setdefault(kind, set()).add(name)
            for file, text in item.get("stringData", item.get("data", {})).items():
                (folder / kind / name).mkdir(parents=True, exist_ok=True)
                (folder / kind / name / file).write_text(text)
        # the image has a YAML parser, by way of Airflow
        parse = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"
        self.values: dict[str, Any] = json.loads(
            self.run(env["STACK_IMAGE"], ["python", "-c", parse], answer=VALUES.read_text())
        )

    def mounted(self, volumes: list[dict[str, Any]], mounts: list[dict[str, Any]]) -> list[str]:
        """Docker's arguments for what a container mounts."""
        arguments = []
        for mount in mounts:
            volume = next(one for one in volumes if one["name"] == mount["name"])
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in self.kinds["PersistentVolumeClaim"]
                continue
            kind = "Secret" if "secret" in volume else "ConfigMap"
            source = volume.get("secret") or volume["configMap"]
            home = self.folder / kind / (source.get("secretName") or source["name"])
            items = {item["path"]: item["key"] for item in source.get("items", [])} or {
                path.name: path.name for path in home.iterdir()
            }
            wanted = (
                {mount["subPath"]: mount["mountPath"]}
                if "subPath" in mount
                else {name: f"{mount['mountPath']}/{name}" for name in items}
            )
            for name, target in wanted.items():
                arguments += ["-v", f"{home / items[name]}:{target}:ro"]
        return arguments

    def variables(self) -> dict[str, str]:
        """The variables that the chart gives to every container of Airflow."""
        kept = self.values
        secrets = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": (kept["data"]["metadataSecretName"], "connection"),
            "AIRFLOW__CORE__FERNET_KEY": (kept["fernetKeySecretName"], "fernet-key"),
            "AIRFLOW__API__SECRET_KEY": (kept["apiSecretKeySecretName"], "api-secret-key"),
            "AIRFLOW__API_AUTH__JWT_SECRET": (kept["jwtSecretName"], "jwt-secret"),
            **{one["envName"]: (one["secretName"], one["secretKey"]) for one in kept["secret"]},
        }
        settings = {
            f"AIRFLOW__{section}__{name}".upper(): value
            for section, given in kept["config"].items()
            for name, value in given.items()
        }
        return {
            **{one["name"]: one["value"] for one in kept["env"]},
            **settings,
            **{name: (self.folder / "Secret" / secret / key).read_text() for name, (secret, key) in secrets.items()},
        }

    def run(
        self, image: str, command: list[str], options: list[str] | None = None, answer: str = "", **environ: str
    ) -> str:
        """What a container prints that runs as the chart would have it."""
        names = [argument for name in environ for argument in ("-e", name)]
        network = ["--network", f"{self.deployment.env.project}_default"]
        locked = ["--user", "50000:0", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        done = subprocess.run(
            ["docker", "run", "--rm", "-i", *network, *locked, *names, *(options or []), image, *command],
            env={**self.deployment.compose.variables, **environ},
            input=answer,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout
