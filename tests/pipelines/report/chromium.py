"""A real Chromium without a window, driven by the DevTools protocol over two pipes: no package is needed for it."""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update
    --disable-sync --disable-extensions --disable-default-apps --mute-audio --hide-scrollbars --disable-dev-shm-usage --no-pings
    --password-store=basic --use-mock-keychain --force-color-profile=srgb --disable-domain-reliability --metrics-recording-only
    --disable-client-side-phishing-detection --disable-features=Translate,OptimizationHints,MediaRouter,NetworkTimeServiceQuerying
"""
HERE_ALONE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
PATIENCE = 60.0
KEYS = {
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    " ": 32,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "End": 35,
    "Home": 36,
}


def program() -> str | None:
    """Where Chromium is, if it is installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """One browser with one page; every request, console line and error of that page is written down."""

    def __init__(self, profile: Path) -> None:
        """Start it with a fresh profile."""
        to_read, self._out = os.pipe()
        self._in, to_write = os.pipe()
        command = [str(program()), *QUIET.split(), HERE_ALONE, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 16) for end in (to_read, to_write)]  # out of the way of 3 and 4
        own = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        # Chromium reads commands from 3 and answers on 4.
        own += [(os.POSIX_SPAWN_DUP2, end, number) for end, number in zip(ends, (3, 4), strict=True)]  # type: ignore[misc]
        self._process = os.posix_spawn(command[0], command, os.environ, file_actions=own)
        for end in (to_read, to_write, *ends):
            os.close(end)
        self._held, self._numbers = b"", itertools.count(1)
        self._session: str | None = None
        self.requests: list[str] = []
        self.said: list[str] = []
        self.loaded = 0
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """End it."""
        os.close(self._out)  # what it takes for the end
        until = time.monotonic() + 10
        while os.waitpid(self._process, os.WNOHANG)[0] == 0:
            if time.monotonic() > until:
                os.kill(self._process, signal.SIGKILL)
                until = float("inf")
            time.sleep(0.02)
        os.close(self._in)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its answer."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == number:
                assert "error" not in found, (method, found["error"])
                result: dict[str, Any] = found["result"]
                return result

    def open(self, url: str, *, width: int = 1280, height: int = 900, scheme: str = "light", media: str = "") -> None:
        """Load a page and wait for it; what was written down before is forgotten."""
        self.look(width, height, scheme, media)
        self.requests, self.said, self.loaded = [], [], 0
        self.call("Page.navigate", url=url)
        self.wait()

    def follow(self, key: str) -> None:
        """Press a key that leads to another page, and wait for that."""
        self.loaded = 0
        self.press(key)
        self.wait()

    def wait(self) -> None:
        """Until a page has loaded and drawn itself."""
        while not self.loaded:
            self._next()
        self.settle()

    def look(self, width: int, height: int, scheme: str = "light", media: str = "") -> None:
        """The size of the window, the colours that the system wants, and the medium (print, or a screen)."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[{"name": name, "value": value} for name, value in wishes.items()])

    def settle(self) -> None:
        """Let the page draw twice, so that what it does at once has been done."""
        self.js("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))")

    def js(self, code: str) -> Any:
        """The value of an expression in the page, awaited."""
        found = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str, text: str = "", *, shift: bool = False) -> None:
        """One key, as a user presses it."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS.get(key, 0), "modifiers": 8 if shift else 0}
        shown = text or ("\r" if key == "Enter" else " " if key == " " else "")
        self.call("Input.dispatchKeyEvent", type="keyDown" if shown else "rawKeyDown", **about, **({"text": shown} if shown else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def write(self, text: str) -> None:
        """A text into what has the focus."""
        self.call("Input.insertText", text=text)

    def picture(self, file: Path, *, whole: bool = False, height: int = 12_000) -> None:
        """A PNG of what is to be seen, or of the whole page."""
        if whole:
            width, tall = self.js(f"[innerWidth, Math.min(document.documentElement.scrollHeight, {height})]")
            clip = {"x": 0, "y": 0, "width": width, "height": tall, "scale": 1}
            shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        else:
            shot = self.call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(shot["data"]))

    def paper(self, file: Path) -> None:
        """A PDF, as it is printed."""
        file.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]))

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._in], [], [], max(0.0, until - time.monotonic()))
            assert ready, "Chromium says nothing"
            some = os.read(self._in, 1 << 20)
            assert some, "Chromium has ended"
            self._held += some
        message, _, self._held = self._held.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        self._note(found.get("method", ""), found.get("params", {}))
        return found

    def _note(self, method: str, about: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif method == "Runtime.consoleAPICalled":
            self.said.append(f"{about['type']}: {' '.join(str(one.get('value', one.get('description'))) for one in about['args'])}")
        elif method == "Runtime.exceptionThrown":
            self.said.append(
                f"exception: {about['exceptionDetails'].get('exception', {}).get('description', about['exceptionDetails']['text'])}"
            )
        elif method == "Log.entryAdded":
            self.said.append(f"{about['entry']['level']}: {about['entry']['text']} {about['entry'].get('url', '')}")
        elif method == "Page.javascriptDialogOpening":
            self.said.append(f"dialog: {about['message']}")
        elif method == "Page.loadEventFired":
            self.loaded += 1
