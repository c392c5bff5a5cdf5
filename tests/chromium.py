"""A page in a headless Chromium, driven over its DevTools protocol by the standard library.

python -m tests.chromium checkpoints/demo/report.html picture.png --section retrieval
"""

import argparse
import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WHY_NOT = "no Chromium here; install it with: apt-get install -y chromium"
SECONDS = 30  # to wait for an answer, on a machine that is busy


def find() -> str | None:
    """The path of a Chromium or Chrome; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One page. complaints: what it wrote to the console as an error, and its exceptions."""

    def __init__(self, send: int, receive: int):
        self.complaints: list[str] = []
        self._send, self._receive, self._buffer, self._last = send, receive, b"", 0
        self._session = None
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        attached = self.command("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")
        self.requests: list[str] = []  # what the page asked for

    def command(self, method: str, **parameters) -> dict:
        """Call a method of the protocol; returns its result, raises RuntimeError on its error."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._last:
            self._notice(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _next(self) -> dict:
        while b"\0" not in self._buffer:
            if not select.select([self._receive], [], [], SECONDS)[0]:
                raise TimeoutError(f"Chromium gave no answer in {SECONDS} s")
            if not (got := os.read(self._receive, 2**16)):
                raise RuntimeError("Chromium has ended")
            self._buffer += got
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _notice(self, event: dict) -> None:
        method, told = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"]))
        if method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(told["args"]))
        if method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(told["entry"]["text"])
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])

    def open(self, path: Path, section: str = "") -> None:
        """Open a file, at the element with an id, and wait until it is loaded."""
        self.command("Page.navigate", url="about:blank")
        self.command("Page.navigate", url=f"{path.resolve().as_uri()}#{section}")
        self.until("document.readyState === 'complete' && location.protocol === 'file:'")

    def read(self, expression: str):
        """The value of a JavaScript expression."""
        result = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + SECONDS
        while not self.read(expression):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {expression}")
            time.sleep(0.05)

    def key(self, key: str) -> None:
        """Press a key on what has the focus."""
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        self.command("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.command("Input.dispatchKeyEvent", type="keyUp", key=key)

    def look(self, *, width: int, height: int, dark: bool = False, still: bool = False) -> None:
        """Set the window's size in pixels and what its user prefers."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if still else "no-preference",
        }
        features = [{"name": name, "value": value} for name, value in features.items()]
        self.command("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, *, whole: bool = False) -> bytes:
        """The window, or the whole page, as PNG."""
        taken = self.command("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(taken["data"])


@contextmanager
def page(profile: Path) -> Iterator[Page]:
    """A page in a Chromium of its own, with its profile in a new folder."""
    to_read, send = os.pipe()
    receive, to_write = os.pipe()
    flags = ["--headless=new", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
    flags += ["--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--no-sandbox"]
    # The browser reads commands from descriptor 3 and answers on 4.
    shell = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
    with subprocess.Popen(
        ["bash", "-c", shell, find(), *flags],
        pass_fds=(to_read, to_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as browser:
        os.close(to_read)
        os.close(to_write)
        try:
            yield Page(send, receive)
        finally:
            os.close(send)
            browser.terminate()
            try:
                browser.wait(10)
            except subprocess.TimeoutExpired:
                browser.kill()
            os.close(receive)


def main() -> None:
    """Take a picture of a page."""
    parser = argparse.ArgumentParser(description="Take a picture of a page.")
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path, metavar="PICTURE.png")
    parser.add_argument("--section", default="", help="id of what to begin with")
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--dark", action="store_true")
    args = parser.parse_args()
    if not find():
        sys.exit(f"error: {WHY_NOT}")
    with tempfile.TemporaryDirectory() as folder, page(Path(folder) / "profile") as shown:
        shown.look(width=args.width, height=args.height, dark=args.dark)
        shown.open(args.page, args.section)
        time.sleep(1)  # for what moves to be there
        args.picture.write_bytes(shown.screenshot())


if __name__ == "__main__":
    main()
