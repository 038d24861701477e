"""Chromium, for tests of pages that a browser draws."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="There is neither chromium nor google-chrome on this machine."
)


def chromium(folder: Path, *asked: str) -> subprocess.CompletedProcess[str]:
    """Chromium as a new user, who knows no host."""
    quiet = ("quic", "background-networking", "component-update", "sync", "default-apps", "gpu", "extensions")
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--no-first-run",
        *(f"--disable-{word}" for word in quiet),
        f"--user-data-dir={folder / 'profile'}",
        "--enable-logging=stderr",
        "--v=0",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--virtual-time-budget=8000",
        "--window-size=1200,1600",
        *asked,
    ]
    shutil.rmtree(folder / "profile", ignore_errors=True)
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def outside(log: Path) -> list[str]:
    """Addresses that a page asked for, from Chromium's log of its network; what Chromium asks for itself has no origin."""
    text = log.read_text(encoding="utf-8").rstrip()
    events = json.loads(text if text.endswith("}") else text.rstrip(",") + "]}")["events"]
    asked = [event["params"] for event in events if isinstance(event.get("params"), dict)]
    urls = {one["url"] for one in asked if "url" in one and one.get("initiator", "not an origin") != "not an origin"}
    return sorted(url for url in urls if not url.startswith(("file:", "data:", "about:", "chrome:", "blob:")))
