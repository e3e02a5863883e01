"""A real browser on the real page. Skipped by name where no browser, or nothing to drive it, is found."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from alknet_firewall.firewall import Firewall

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def site(firewall: Firewall) -> Iterator[str]:
    """The playground's address, served by a real server on this machine."""
    pytest.importorskip("fastapi", reason="needs fastapi")
    uvicorn = pytest.importorskip("uvicorn", reason="needs uvicorn")
    from fastapi import FastAPI

    from alknet_firewall.serve.playground.router import playground_router

    app = FastAPI()
    app.include_router(playground_router(firewall))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")  # while it is there, an event loop runs in this thread: no other test may see it
def chromium() -> Iterator[Any]:
    """A headless Chromium that is installed on this machine; none is fetched."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """What a page did behind one's back: requests, errors, dialogs."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def settings() -> dict[str, Any]:
    """Of the browser's window; tests override it."""
    return {"viewport": {"width": 1240, "height": 900}, "color_scheme": "light"}


@pytest.fixture
def page(chromium: Any, site: str, watched: Watched, settings: dict[str, Any]) -> Iterator[Any]:
    """The page, opened, with its first example read."""
    context = chromium.new_context(**settings)
    opened = context.new_page()
    opened.on("request", lambda request: watched.requests.append(request.url))
    opened.on("pageerror", lambda error: watched.errors.append(str(error)))
    opened.on("console", lambda said: watched.errors.append(said.text) if said.type == "error" else None)

    def refuse(dialog: Any) -> None:
        watched.dialogs.append(dialog.message)
        dialog.dismiss()

    opened.on("dialog", refuse)
    opened.goto(f"{site}/playground/")
    opened.wait_for_selector("body[data-state=done]")
    yield opened
    context.close()
    assert watched.errors == []
