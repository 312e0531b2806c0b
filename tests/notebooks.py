"""The notebooks of examples/: executed as a reader would, and compared with what is stored in them.

python tests/notebooks.py      executes each and writes it again, with its outputs and pictures
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / "examples"
NUMBER = re.compile(r"\d+\.\d+(?:e[+-]?\d+)?")


def notebooks() -> list[Path]:
    return sorted(EXAMPLES.glob("*.ipynb"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def executed(path: Path, folder: Path, **settings: str) -> Any:
    """The notebook with fresh outputs; it runs in the folder, and of settings from outside there are only these."""
    notebook = read(path)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COINMILL_", "MPL"))}
    # the width for which a frame prints itself
    env["COLUMNS"] = "80"
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        # else a text printed in two lines is at times two outputs
        coalesce_streams=True,
        # errors only: it would warn that it talks over the loopback
        extra_arguments=["--log-level=40"],
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**env, **settings})
    # on a slow machine a run shows how far it is
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not is_bar(output)]
    # of the machine that executed it nothing is stored
    notebook.metadata = type(notebook.metadata)(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    return notebook


def is_bar(output: Any) -> bool:
    return str(output.get("data", {}).get("text/html", "")).startswith("<progress")


def shown(notebook: Any) -> Iterator[tuple[str, list[str]]]:
    """The source of each cell, and what it shows: texts with their numbers rounded, of pictures only that there is one.

    The last digits of a number are those of the machine's logarithm.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found: list[str] = []
            for output in cell.outputs:
                data = output.get("data", {"text/plain": output.get("text", "")})
                for kind in sorted(data):
                    is_text = kind.startswith("text/") and "image/png" not in data
                    found.append(f"{kind}: {rounded(data[kind])}" if is_text else kind)
            yield cell.source, found


def rounded(text: str) -> str:
    return NUMBER.sub(lambda number: f"{float(number[0]):.9g}", text)


def main() -> None:
    for path in notebooks():
        with TemporaryDirectory() as folder:
            nbformat.write(executed(path, Path(folder)), path)  # type: ignore[no-untyped-call]
        print(f"{path.name}: {path.stat().st_size // 1000} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
