"""A real browser, Chromium, to open a page in: the DevTools protocol over a pipe."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

CHROMIUM = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), "")
WORDS = ["--headless", "--no-sandbox", "--disable-gpu", "--force-prefers-reduced-motion"]
ERRORS = ("Runtime.exceptionThrown", "Log.entryAdded", "Network.loadingFailed")


class Browser:
    """One tab without a window; used in a `with`, behind which it is closed."""

    def __init__(self):
        read, told = os.pipe()
        heard, write = os.pipe()
        # Chromium reads commands from descriptor 3 and answers on 4.
        shell = f'exec "$@" 3<&{read} 4>&{write}'
        words = ["bash", "-c", shell, "_", CHROMIUM, *WORDS, "--remote-debugging-pipe"]
        self.process = subprocess.Popen(
            words,
            pass_fds=(read, write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read)
        os.close(write)
        self.told, self.heard, self.buffer = told, heard, b""
        self.numbers = itertools.count(1)
        self.session: dict = {}
        self.events: list[dict] = []
        tab = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=tab, flatten=True)
        self.session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.told)
        os.close(self.heard)

    def hear(self) -> dict:
        while b"\0" not in self.buffer:
            heard = os.read(self.heard, 2**16)
            if not heard:
                raise EOFError("Chromium has ended")
            self.buffer += heard
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method: str, **params) -> dict:
        command = {"id": next(self.numbers), "method": method, "params": params}
        os.write(self.told, json.dumps(command | self.session).encode() + b"\0")
        while True:
            message = self.hear()
            if message.get("id") == command["id"]:
                if "navigated" in message.get("error", {}).get("message", ""):
                    return {"result": {}}  # the page that was asked has gone
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, path: Path, fragment: str = "") -> None:
        self.call("Page.navigate", url="about:blank")  # or a fragment would load nothing
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri() + fragment)
        self.wait("location.protocol === 'file:' && document.readyState === 'complete'", 60)

    def run(self, script: str):
        """The value of an expression of JavaScript, in the page."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, condition: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, f"not in {seconds} s: {condition}"
            time.sleep(0.2)

    def resize(self, width: int, height: int = 900, scheme: str = "light") -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def picture(self, path: Path, **clip: float) -> None:
        """A screenshot of the part of the page with this x, y, width and height."""
        options = {"format": "png", "captureBeyondViewport": True}
        options["clip"] = {"scale": 1, **clip}
        shot = self.call("Page.captureScreenshot", **options)
        path.write_bytes(base64.b64decode(shot["data"]))

    def errors(self) -> list[str]:
        """What went wrong since the page was opened: exceptions, warnings, failed loads."""
        self.run("0")  # hears what is waiting
        return [json.dumps(e["params"]) for e in self.events if e.get("method") in ERRORS]

    def requests(self) -> list[str]:
        """The addresses that were asked for, without what lies in the page itself."""
        asked = (e for e in self.events if e.get("method") == "Network.requestWillBeSent")
        addresses = [event["params"]["request"]["url"] for event in asked]
        return [a for a in addresses if not a.startswith(("data:", "blob:"))]
