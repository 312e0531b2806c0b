"""The pictures of README and docs: a notebook, charts, a terminal. Where what they show changes, make them again.

python tests/pictures.py       writes docs/images/; it needs Chromium (Debian: chromium)
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from html import escape
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nbconvert import HTMLExporter
from notebooks import EXAMPLES, read
from PIL import Image
from test_screens import COLUMNS, Terminal, environment

import coinmill

IMAGES = Path(__file__).parents[1] / "docs" / "images"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]

NOON = datetime(2026, 3, 2, 9, 10, tzinfo=timezone.utc)
COMMANDS = (
    "run snapshot --top 50",
    "price bitcoin ethereum solana",
    "backfill --days 30 --coins bitcoin",
    "candles bitcoin --every 1w",
    "gaps",
)
TERMINAL = """<style>body {{ margin: 0; background: #1e1e1e }}
pre {{ margin: 14px 18px; color: #d4d4d4; font: 15px/1.3 "DejaVu Sans Mono", monospace }}
b {{ color: #fff }} .at {{ color: #26a69a }}</style><pre>{}</pre>"""


def main() -> None:
    save("notebook", photographed(page("first_steps", (4, 7, 8, 9, 10)), 900, 1150))
    save("candles", next(charts("first_steps", "candles.plot()")))
    save("backtest", next(charts("backtest", "results.plot")))
    save("terminal", photographed(TERMINAL.format("\n".join(session())), 780, 900))


def session() -> Iterator[str]:
    """Commands and what they print, in a folder of their own."""
    with TemporaryDirectory() as folder, coinmill.Sim(seed=7, market_size=300, clock=NOON, frozen=True) as sim:
        os.chdir(folder)
        env = environment(sim, Path("coinmill-data"), {})
        for command in COMMANDS:
            yield f'<span class="at">$</span> <b>coinmill {escape(command)}</b>'
            yield from styled(Terminal(command.split(), env))
            yield ""
        os.chdir(IMAGES)


def styled(terminal: Terminal) -> Iterator[str]:
    """The lines of a terminal, bold where it is; the colours are few and of no matter here."""
    rows = [*terminal.screen.history.top, *(terminal.screen.buffer[line] for line in range(terminal.screen.lines))]
    lines = []
    for row in rows:
        cells = [row[column] for column in range(COLUMNS)]
        lines.append("".join(f"<b>{escape(it.data)}</b>" if it.bold else escape(it.data) for it in cells).rstrip())
    while lines and not lines[-1]:
        lines.pop()
    return iter(lines)


def page(name: str, cells: Sequence[int]) -> str:
    """Some cells of a notebook, as Jupyter shows them."""
    notebook = read(EXAMPLES / f"{name}.ipynb")
    notebook.cells = [notebook.cells[place] for place in cells]
    body, _ = HTMLExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    return str(body)


def charts(name: str, source: str) -> Iterator[Image.Image]:
    """The pictures that a notebook has of cells with this source."""
    for cell in read(EXAMPLES / f"{name}.ipynb").cells:
        if cell.cell_type == "code" and source in cell.source:
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    yield Image.open(BytesIO(base64.b64decode(output.data["image/png"])))


def photographed(html: str, width: int, height: int) -> Image.Image:
    """A page, without the empty space below."""
    with TemporaryDirectory() as folder:
        place, picture = Path(folder) / "page.html", Path(folder) / "page.png"
        place.write_text(html, encoding="utf-8")
        size = [f"--window-size={width},{height}", f"--user-data-dir={folder}/profile"]
        command: Sequence[Any] = ["chromium", *FLAGS, *size, f"--screenshot={picture}", place.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
        image = Image.open(picture).convert("RGB")
    corner = image.getpixel((width - 1, height - 1))
    used = [y for y in range(height) if any(image.getpixel((x, y)) != corner for x in range(0, width, 2))]
    return image.crop((0, 0, width, min(height, max(used, default=height) + 16)))


def save(name: str, image: Image.Image) -> None:
    path = IMAGES / f"{name}.png"
    image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {image.width} x {image.height}, {path.stat().st_size // 1000} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
