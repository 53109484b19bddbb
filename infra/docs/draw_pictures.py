"""Draw the pictures of `docs/images/` anew: the Dagster UI, a release's page, and its cells.

``python infra/docs/draw_pictures.py [FOLDER]``: FOLDER is that of `genept demo`, and is built where
it is missing. Chromium of the system takes the pictures of pages.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from genept.client import Platform
from genept.common import Settings

PROJECT: Final = Path(__file__).parents[2]
IMAGES: Final = PROJECT / "docs" / "images"
GENEPT: Final = Path(sys.executable).with_name("genept")
COLOURS: Final = 96
LARGEST: Final = 200_000
"""Bytes that a picture may have."""

MILLISECONDS: Final = 120_000


def small(source: Path, name: str, width: int = 1200) -> None:
    """Keep a picture with few colours and at most this width."""
    picture = Image.open(source).convert("RGB")
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)))
    target = IMAGES / f"{name}.png"
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    size = target.stat().st_size
    if size > LARGEST:
        raise ValueError(f"{target} has {size:,} bytes, more than {LARGEST:,}")
    print(f"{target.relative_to(PROJECT)}: {size:,} bytes")


@contextmanager
def served(folder: Path, log: Path) -> Iterator[str]:
    """The link of `genept ui` over the folder, until the context ends."""
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [GENEPT, "ui", "--no-open", "--port", "0"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
            start_new_session=True,
        )
    try:
        yield _link(process, log)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def _link(process: subprocess.Popen[bytes], log: Path) -> str:
    """The link that was printed, once the UI answers."""
    until = time.monotonic() + MILLISECONDS / 1000
    while time.monotonic() < until and process.poll() is None:
        if link := re.search(r"(http://127\.0\.0\.1:\d+)/\?token=\S+", log.read_text()):
            with suppress(httpx.HTTPError):
                httpx.get(f"{link[1]}/healthz", timeout=5).raise_for_status()
                return link[0]
        time.sleep(0.5)
    raise RuntimeError(f"the UI did not come up: {log.read_text()[-2000:]}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise SystemExit("chromium is not installed: apt-get install chromium")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=program, args=flags)


def take(page: Page, name: str, scratch: Path) -> None:
    """Take a picture of what is seen of a page."""
    page.wait_for_timeout(2500)  # what moves has come to rest
    page.screenshot(path=scratch / f"{name}.png")
    small(scratch / f"{name}.png", name)


def pages_of_ui(page: Page, link: str, scratch: Path) -> None:
    """The graph of all assets by group, and the check of a table."""
    address = link.partition("/?")[0]
    page.goto(link)
    page.wait_for_url(lambda url: "token" not in url)
    page.goto(f"{address}/asset-groups")
    page.get_by_text(re.compile("^nomenclature$")).first.wait_for()
    take(page, "ui-groups", scratch)
    page.goto(f"{address}/assets/cell_embeddings?view=checks")
    page.get_by_text("keeps_its_declaration").first.click()
    page.get_by_text("Passed", exact=True).first.wait_for()
    take(page, "ui-check", scratch)


def release_pages(scratch: Path) -> tuple[Path, Path]:
    """The newest release's page, with what it links to, and the picture of its cells."""
    platform = Platform(Settings())
    audit = f"{platform.settings.product}/releases/{platform.releases.ids()[-1]}/audit/"
    for info in platform.store.list(audit):
        copy = scratch / "audit" / info.key.removeprefix(audit)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(platform.store.get(info.key))
    (cells,) = (scratch / "audit" / "embeddings").rglob("*.png")
    return scratch / "audit" / "site" / "index.html", cells


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=PROJECT / ".genept" / "demo")
    folder = parser.parse_args().folder.resolve()
    if not (folder / "genept.toml").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([GENEPT, "demo", folder], check=True)
    IMAGES.mkdir(exist_ok=True)
    for name in [name for name in os.environ if name.startswith("GENEPT_")]:
        del os.environ[name]
    os.chdir(folder)  # whose settings count
    with tempfile.TemporaryDirectory() as kept, chromium() as browser:
        scratch = Path(kept)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(MILLISECONDS)
        index, cells = release_pages(scratch)
        small(cells, "cells")
        page.goto(index.as_uri())
        take(page, "release", scratch)
        page.get_by_role("link", name="Results", exact=True).click()
        take(page, "release-results", scratch)
        with served(folder, scratch / "ui.log") as link:
            pages_of_ui(page, link, scratch)


if __name__ == "__main__":
    main()
