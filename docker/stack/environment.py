"""The stack's `.env`: written once, checked each time, and what each service may know of it."""

from __future__ import annotations

import base64
import os
import re
import secrets
import shlex
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Refused(Exception):
    """Something that the person at the keyboard has to put right: one line, with the remedy."""


def hexadecimal(size: int) -> Callable[[], str]:
    # passwords go into URLs, where hex needs no escapes
    return lambda: secrets.token_hex(size)


def fernet() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


# every secret that a stack needs, and how one is made
SECRETS: dict[str, Callable[[], str]] = {
    "POSTGRES_PASSWORD": hexadecimal(24),
    "AIRFLOW_DATABASE_PASSWORD": hexadecimal(24),
    "COINMILL_OWNER_PASSWORD": hexadecimal(24),
    "COINMILL_WRITER_PASSWORD": hexadecimal(24),
    "COINMILL_READER_PASSWORD": hexadecimal(24),
    "REDIS_PASSWORD": hexadecimal(24),
    "AIRFLOW_JWT_SECRET": hexadecimal(32),
    "AIRFLOW_SECRET_KEY": hexadecimal(32),
    "AIRFLOW_FERNET_KEY": fernet,
    "AIRFLOW_PASSWORD": hexadecimal(12),
}

EVERY_HALF_HOUR = "*/30 * * * *"
ROLES = ("AIRFLOW_DATABASE_PASSWORD", "COINMILL_OWNER_PASSWORD", "COINMILL_WRITER_PASSWORD", "COINMILL_READER_PASSWORD")

TEMPLATE = """\
# The settings and passwords of one stack, written once by `make stack`: keep a copy beside your backups.
# After a change: make stack{suffix}
COMPOSE_PROJECT_NAME={project}
STACK_SECRETS=.stack/{project}
STACK_PORT={port}

# What to ask of whom. Without a key it is CoinGecko's keyless plan. Other settings may be added (COINMILL_TOP=100).
COINMILL_API_URL={api_url}
COINMILL_API_KEY=
COINMILL_PLAN={plan}
COINMILL_SCHEDULE={schedule}

# The scheduler runs the tasks itself (LocalExecutor, STACK_SCHEDULER=writer). For workers apart: the profile scale,
# AIRFLOW_EXECUTOR=CeleryExecutor, STACK_SCHEDULER=nobody, and their number.
COMPOSE_PROFILES={profiles}
AIRFLOW_EXECUTOR={executor}
STACK_SCHEDULER={scheduler}
STACK_WORKERS={workers}

# Who signs in to Airflow's pages.
AIRFLOW_USER=admin
{secrets}
"""
# with this file PostgreSQL is another server than the stack's own
MANAGED = "docker/managed-postgres.yml"
REQUIRED = ["COMPOSE_PROJECT_NAME", "STACK_SECRETS", "STACK_PORT", "AIRFLOW_USER", *SECRETS]


@dataclass(frozen=True)
class Environment:
    """One `.env`."""

    path: Path
    values: dict[str, str] = field(repr=False)

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    @property
    def shown(self) -> str:
        return str(self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path)

    @property
    def project(self) -> str:
        return self["COMPOSE_PROJECT_NAME"]

    @property
    def port(self) -> int:
        return int(self["STACK_PORT"])

    @property
    def url(self) -> str:
        """Airflow's pages, on this machine only."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def image(self) -> str:
        """The image of Airflow and coinmill."""
        return self.values.get("STACK_IMAGE") or "coinmill-airflow"

    @property
    def workers(self) -> int:
        return int(self.values.get("STACK_WORKERS") or 0)

    @property
    def how_often(self) -> str:
        """How often the DAG runs."""
        schedule = self.values.get("COINMILL_SCHEDULE") or EVERY_HALF_HOUR
        return "every half-hour" if schedule == EVERY_HALF_HOUR else f"as COINMILL_SCHEDULE={schedule} says"

    @property
    def profiles(self) -> list[str]:
        return [profile for profile in self.values.get("COMPOSE_PROFILES", "").split(",") if profile]

    @property
    def make_suffix(self) -> str:
        """What a `make stack` of this one is given besides."""
        return "" if self.shown == ".env" else f" ENV={self.shown}"

    @classmethod
    def write(cls, path: Path, *, sim: bool, workers: int, port: int | None) -> Environment:
        """A new one, with passwords that nobody has seen."""
        require_port_number("the port", str(port or 8080))
        kind = path.name.removeprefix(".env").strip(".")
        project = re.sub(r"[^a-z0-9]+", "-", f"coinmill {kind}".strip().lower())
        text = TEMPLATE.format(
            suffix="" if path.name == ".env" else f" ENV={path}",
            project=project,
            port=port or 8080,
            schedule=EVERY_HALF_HOUR,
            api_url="http://sim:8480/api/v3" if sim else "",
            plan="unlimited" if sim else "",
            profiles=",".join(["sim"] * sim + ["scale"] * bool(workers)),
            executor="CeleryExecutor" if workers else "LocalExecutor",
            scheduler="nobody" if workers else "writer",
            workers=workers,
            secrets="\n".join(f"{name}={make()}" for name, make in SECRETS.items()),
        )
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise Refused(f"{path} cannot be written ({error.strerror}): choose another with ENV=FILE") from error
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Environment:
        """The one at this path, if it is whole and nobody else may read it."""
        try:
            text = path.read_text()
            mode = path.stat().st_mode
        except FileNotFoundError:
            raise Refused(f"there is no {path}: `make stack` writes it") from None
        except OSError as error:
            raise Refused(f"{path} cannot be read ({error.strerror}): it has to be yours") from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Refused(f"{path} holds passwords and others may read it: chmod 600 {path}")
        values = {}
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                name, equals, value = line.partition("=")
                if not equals:
                    raise Refused(f"{path}, line {number}: write NAME=VALUE")
                values[name.strip()] = value.strip().strip("\"'")
        missing = [name for name in REQUIRED if not values.get(name)]
        if missing:
            raise Refused(f"{path} lacks {', '.join(missing)}: restore it from your copy, or add {remedy(missing)}")
        # they go into URLs and settings files as they are; several Fernet keys have commas between them
        allowed = {"AIRFLOW_FERNET_KEY": r"[A-Za-z0-9_=,-]+"}
        odd = [name for name in SECRETS if not re.fullmatch(allowed.get(name, r"[A-Za-z0-9_=-]+"), values[name])]
        if odd:
            raise Refused(f"{path}: {', '.join(odd)} may have letters, digits, - and _ only: {remedy(odd)}")
        for name in ("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_USER", "POSTGRES_SSLMODE"):
            if not re.fullmatch(r"[A-Za-z0-9_.@-]*", values.get(name, "")):
                raise Refused(f"{path}: {name} may have letters, digits and . _ @ - only")
        if not re.fullmatch(r"\d{0,5}", values.get("STACK_WORKERS", "")):
            raise Refused(f"{path}: STACK_WORKERS={values['STACK_WORKERS']} is no number")
        require_port_number(f"{path}: STACK_PORT", values["STACK_PORT"])
        return cls(path.absolute(), values)

    @classmethod
    def open_or_write(cls, path: Path, *, sim: bool, workers: int | None, port: int | None) -> Environment:
        """The one at this path, or a new one. What is asked for must not differ from what it says."""
        if not path.exists():
            return cls.write(path, sim=sim, workers=workers or 0, port=port)
        env = cls.open(path)
        if sim and "sim" not in env.profiles:
            raise Refused(
                f"{path} is of a stack that asks CoinGecko, and its databases are no place for a simulated market's"
                " numbers: for one beside it, make stack SIM=1 ENV=.env.sim PORT=8081"
            )
        if port is not None and port != env.port:
            raise Refused(f"{path} says STACK_PORT={env.port}: change it there")
        if workers is not None and workers != env.workers:
            raise Refused(f"{path} says STACK_WORKERS={env.workers or 0}: change it and the three lines above it there")
        return env

    def write_secrets(self) -> bool:
        """Makes the files that the services are given; true when one has changed.

        The folder is closed to others; the files are not, since a container's user is none of this machine's.
        """
        folder = ROOT / self["STACK_SECRETS"]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        changed = False
        for name, text in self.files().items():
            file = folder / name
            if not file.exists() or file.read_text() != text:
                changed = True
                # in place: a container that runs has this very file mounted
                file.write_text(text)
                file.chmod(0o644)
        return changed

    @property
    def server_of_its_own(self) -> bool:
        """True where PostgreSQL is another server than the stack's."""
        return bool(self.values.get("POSTGRES_HOST"))

    @property
    def server(self) -> dict[str, str]:
        """Where PostgreSQL is and who administers it, in the variables of its own programs."""
        given = {
            "PGHOST": self.values.get("POSTGRES_HOST") or "postgres",
            "PGPORT": self.values.get("POSTGRES_PORT") or "5432",
            "PGUSER": self.values.get("POSTGRES_USER") or "postgres",
        }
        if self.values.get("POSTGRES_SSLMODE"):
            given["PGSSLMODE"] = self["POSTGRES_SSLMODE"]
        if self.values.get("POSTGRES_CA"):
            given["PGSSLROOTCERT"] = "/run/secrets/ca.pem"
        return given

    @property
    def authority(self) -> str:
        """The certificate by which PostgreSQL's is judged, where one is given."""
        if not self.values.get("POSTGRES_CA"):
            return ""
        path = ROOT / self["POSTGRES_CA"]
        try:
            return path.read_text()
        except OSError as error:
            raise Refused(f"{self.shown}: POSTGRES_CA={path} cannot be read ({error.strerror})") from error

    def files(self) -> dict[str, str]:
        """Each secret file's name and text."""
        roles = {name: self[name] for name in ROLES}
        key = f'api_key = "{self["COINMILL_API_KEY"]}"\n' if self.values.get("COINMILL_API_KEY") else ""
        # who has no key is told what it makes of the plan
        plan = 'plan = "demo"\n' if key else ""
        return {
            "postgres": self["POSTGRES_PASSWORD"],
            "admin": f"user={shlex.quote(self['AIRFLOW_USER'])}\npassword={shlex.quote(self['AIRFLOW_PASSWORD'])}\n",
            "roles": "".join(f"{name}={shlex.quote(value)}\n" for name, value in {**self.server, **roles}.items()),
            "ca.pem": self.authority,
            "redis.conf": f"requirepass {self['REDIS_PASSWORD']}\nappendonly yes\ndir /data\n",
            "airflow.cfg": self.airflow(),
            "owner.toml": self.urls("owner") + plan,
            "writer.toml": self.urls("writer") + key,
            "reader.toml": self.urls("reader") + plan,
            "nobody.toml": "",
        }

    def airflow(self) -> str:
        # Airflow itself would take asyncpg, which knows no `sslmode`
        asynchronous = f"sql_alchemy_conn_async = {self.airflow_url('psycopg')}\n" if self.tls else ""
        return f"""\
[core]
fernet_key = {self["AIRFLOW_FERNET_KEY"]}
[database]
sql_alchemy_conn = {self.airflow_url("psycopg2")}
{asynchronous}[api]
secret_key = {self["AIRFLOW_SECRET_KEY"]}
[api_auth]
jwt_secret = {self["AIRFLOW_JWT_SECRET"]}
[celery]
broker_url = redis://:{self["REDIS_PASSWORD"]}@redis:6379/0
result_backend = db+{self.airflow_url("psycopg2")}
"""

    def airflow_url(self, driver: str) -> str:
        """Airflow's own database."""
        return f"postgresql+{driver}://airflow:{self['AIRFLOW_DATABASE_PASSWORD']}@{self.address}/airflow{self.tls}"

    def urls(self, role: str) -> str:
        server = f"postgresql://coinmill_{role}:{self[f'COINMILL_{role.upper()}_PASSWORD']}@{self.address}"
        return "".join(f'{name}_url = "{server}/airflow_{name}{self.tls}"\n' for name in ("snapshot", "timeseries"))

    @property
    def address(self) -> str:
        port = self.server["PGPORT"]
        return self.server["PGHOST"] + ("" if port == "5432" else f":{port}")

    @property
    def tls(self) -> str:
        """What is added to a URL for TLS."""
        wanted = [("sslmode", "PGSSLMODE"), ("sslrootcert", "PGSSLROOTCERT")]
        query = "&".join(f"{name}={self.server[given]}" for name, given in wanted if given in self.server)
        return f"?{query}" if query else ""


def require_port_number(name: str, given: str) -> None:
    if not re.fullmatch(r"\d{1,5}", given) or not 1 <= int(given) <= 65535:
        raise Refused(f"{name} is {given}: give a number from 1 to 65535")


def remedy(names: list[str]) -> str:
    """How values for these are made."""
    if "AIRFLOW_FERNET_KEY" in names:
        return "new ones (openssl rand -hex 24; for AIRFLOW_FERNET_KEY openssl rand -base64 32 | tr +/ -_)"
    return "new ones (openssl rand -hex 24)"
