"""A wheel in empty environments: of the oldest supported Python, and of the newest that is here or can be fetched.

    python tests/install.py WHEEL

In each it runs the README's first block of Python with nothing else installed. What needs another library has to say
which extra brings it; all else has to work.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
OLDEST = (3, 10)

# executed there: statement by statement, since some are to fail
TRIAL = """
import ast, os, sys
from pathlib import Path

import coinmill

block = Path(sys.argv[1]).read_text(encoding="utf-8").split("```python\\n")[1].split("```")[0]
refused = []
with coinmill.Sim(market_size=300) as sim:
    os.environ.update({f"COINMILL_{name.upper()}": value for name, value in sim.settings.items()})
    names = {}
    for statement in ast.parse(block).body:
        try:
            exec(compile(ast.Module([statement], []), "README.md", "exec"), names)
        except ImportError as error:
            refused.append(str(error))
    assert names["report"]["state"] == "complete", names["report"]
    assert len(names["prices"]) > 700
    print(names["quotes"])
for extra in ("polars", "plot"):
    assert any(f"pip install 'coinmill[{extra}]'" in said for said in refused), refused
assert len(refused) == 2, refused
for method, extra in (("to_pandas", "pandas"), ("to_arrow", "arrow")):
    try:
        getattr(names["quotes"], method)()
    except ImportError as error:
        assert f"pip install 'coinmill[{extra}]'" in str(error), error
    else:
        raise AssertionError(method)
"""


def interpreters() -> Iterator[tuple[tuple[int, ...], str]]:
    """Those of this machine: uv's, those on the path, and pyenv's."""
    found = {sys.executable}
    listed = subprocess.run([uv(), "python", "list", "--only-installed"], capture_output=True, text=True, check=False)
    found.update(re.findall(r"^cpython-\S+ +(/\S+)", listed.stdout, flags=re.MULTILINE))
    found.update(
        str(path) for path in Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin/python")
    )
    for path in sorted(found):
        asked = [path, "-c", "import sys; print(*sys.version_info[:3], sys.version_info.releaselevel)"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
        if len(said) == 4 and said[3] == "final":
            yield tuple(int(part) for part in said[:3]), path


def uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else which("uv") or sys.exit("install: there is no uv")


def fetched(version: str) -> None:
    """Asks uv for one more Python; a machine without that network goes on with what it has."""
    command = [uv(), "python", "install", "--quiet", version]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        print(f"install: uv has no Python {version} from the network: trying those that are here", file=sys.stderr)


def chosen() -> list[tuple[tuple[int, ...], str]]:
    """The oldest supported Python and the newest."""
    for version in (".".join(map(str, OLDEST)), "3.14"):
        if not any(it[:2] == tuple(map(int, version.split("."))) for it, _ in interpreters()):
            fetched(version)
    supported = sorted(it for it in interpreters() if it[0] >= OLDEST)
    if supported[0][0][:2] != OLDEST:
        sys.exit(f"install: no Python {'.'.join(map(str, OLDEST))}: install one, such as by uv or pyenv")
    return [supported[0], supported[-1]]


def tried(python: str, wheel: Path) -> None:
    with TemporaryDirectory() as folder:
        place = Path(folder)
        run = place / "venv" / "bin"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("COINMILL_", "PYTHON"))}
        subprocess.run([uv(), "venv", "-q", "-p", python, str(place / "venv")], check=True)
        install = [uv(), "pip", "install", "-q", "--offline", "-p", str(run / "python"), str(wheel)]
        subprocess.run(install, check=True)
        listing = [uv(), "pip", "list", "-q", "-p", str(run / "python"), "--format", "freeze"]
        listed = subprocess.run(listing, check=True, capture_output=True, text=True)
        assert [line.split("==")[0] for line in listed.stdout.split()] == ["coinmill"], listed.stdout
        empty = place / "empty"
        empty.mkdir()
        trial = [str(run / "python"), "-W", "error", "-c", TRIAL, str(ROOT / "README.md")]
        subprocess.run(trial, check=True, cwd=empty, env=clean, stdout=subprocess.DEVNULL)
        for command in (["--version"], ["--help"], ["demo"]):
            subprocess.run([str(run / "coinmill"), *command], check=True, cwd=empty, env=clean, capture_output=True)


def main() -> None:
    wheel = Path(sys.argv[1]).resolve()
    for version, python in chosen():
        tried(python, wheel)
        print(f"install: {wheel.name} works in an empty Python {'.'.join(map(str, version))}")


if __name__ == "__main__":
    main()
