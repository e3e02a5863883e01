"""Photographs the playground for docs/playground.md, with a Chromium that is installed on this machine.

    python docs/figures/screenshots.py

Run it again when the page or the bundled codebook changes. Needs the extra `serve` and the package `playwright`.
"""

from __future__ import annotations

import shutil
import socket
import sys
import threading
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, sync_playwright

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.serve.app import create_app
from alknet_firewall.serve.settings import ServeSettings

IMAGES = Path(__file__).resolve().parents[1] / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MOST_BYTES = 150_000
SHOTS = (
    # name, width, height, color scheme, example
    ("playground-light", 1000, 800, "light", "An injection in a mail"),
    ("playground-dark", 1000, 800, "dark", "Disguised: 1337 in a comment"),
    ("playground-phone", 390, 844, "light", "A jailbreak"),
)


def main() -> None:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        sys.exit(f"needs a browser: one of {', '.join(BROWSERS)}")
    IMAGES.mkdir(exist_ok=True)
    app = create_app(Firewall(FirewallConfig()).warm_up(), ServeSettings(playground=True))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            with sync_playwright() as started:
                browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
                for shot in SHOTS:
                    photograph(browser, f"http://127.0.0.1:{listening.getsockname()[1]}/playground/", *shot)
                browser.close()
        finally:
            server.should_exit = True
            thread.join()


def photograph(browser: Browser, address: str, name: str, width: int, height: int, scheme: str, example: str) -> None:
    """One picture of the page with an example read, without what lies below `height`."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("body[data-state=done]")
    with page.expect_response("**/playground/read"):
        page.select_option("#example", label=example)
    page.wait_for_selector("body[data-state=done]")
    file = IMAGES / f"{name}.png"
    page.screenshot(path=file, animations="disabled")
    context.close()
    size = file.stat().st_size
    print(f"{file.name}: {size:,} bytes")
    if size > MOST_BYTES:
        sys.exit(f"{file.name} is larger than {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main()
