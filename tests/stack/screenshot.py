"""A picture of the DAG's grid in a stack that runs, for docs/operations.md.

    PYTHONPATH=tests:docker/stack python tests/stack/screenshot.py --env .env.sim [--out docs/images/grid.png]

Signs in like a person, by headless Chromium, which is steered by ChromeDriver (Debian: chromium, chromium-driver).
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from airflow_rest import wait_for
from environment import Environment
from postgres import free_port

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name that WebDriver's standard gives to a reference
# no sandbox: it refuses root. The others keep Chromium from asking for hosts that are not there
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--window-size=1300,700"]


class Browser:
    """A session of WebDriver."""

    def __init__(self, driver: str, profile: str) -> None:
        options = {"args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        self.url = driver
        self.url = f"{driver}/session/{self.call('/session', wanted)['sessionId']}"

    def call(self, path: str, body: object = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.url + path, data, method=method), timeout=60) as response:
            return json.load(response)["value"]

    def open(self, url: str) -> None:
        self.call("/url", {"url": url})

    def find(self, selector: str) -> str:
        """An element, as soon as it is there."""
        self.call("/timeouts", {"implicit": 30_000})
        element: str = self.call("/element", {"using": "css selector", "value": selector})[ELEMENT]
        return element

    def type(self, selector: str, text: str) -> None:
        self.call(f"/element/{self.find(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        self.call(f"/element/{self.find(selector)}/click", {})

    def drag(self, selector: str, right: int) -> None:
        place = {"type": "pointerMove", "origin": {ELEMENT: self.find(selector)}, "x": 0, "y": 0}
        away = {"type": "pointerMove", "x": 200, "y": 450}  # else a hint of what is there is in the picture
        press, release = ({"type": what, "button": 0} for what in ("pointerDown", "pointerUp"))
        steps = [place, press, {**place, "x": right}, release, away]
        self.call("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": steps}]})

    def picture(self) -> bytes:
        return base64.b64decode(self.call("/screenshot"))


@contextmanager
def browser() -> Iterator[Browser]:
    port = free_port()
    with TemporaryDirectory() as profile, subprocess.Popen(["chromedriver", f"--port={port}"]) as driver:
        try:
            page = wait_for("ChromeDriver", lambda: session(f"http://127.0.0.1:{port}", profile))
            try:
                yield page
            finally:
                page.call("", method="DELETE")
        finally:
            driver.terminate()


def session(driver: str, profile: str) -> Browser | None:
    try:
        return Browser(driver, profile)
    except URLError:  # it is not up yet
        return None


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--env", type=Path, default=Path(".env"))
    options.add_argument("--out", type=Path, default=Path("docs/images/grid.png"))
    asked = options.parse_args()
    env = Environment.open(asked.env)
    with browser() as page:
        page.open(f"{env.url}/auth/login/")
        page.type("#username", env["AIRFLOW_USER"])
        page.type("#password", env["AIRFLOW_PASSWORD"])
        page.click("[type=submit]")
        time.sleep(5)  # what it draws has no name to wait for
        page.open(f"{env.url}/dags/crypto_market")
        page.find("a[href*='/dags/crypto_market/runs/']")
        page.drag("[role=separator]", 260)  # room for ten runs
        time.sleep(3)
        asked.out.write_bytes(page.picture())


if __name__ == "__main__":
    main()
