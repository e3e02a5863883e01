"""The site of the documentation: it builds without a warning, holds every page, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("mkdocs")

ROOT = Path(__file__).resolve().parents[2]
# What a browser fetches by itself; a link that a reader follows may lead anywhere.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*?\b(?:src|data)=["']?(?P<src>[^"'\s>]+)"""
    r"""|<link\b(?![^>]*rel=["']?canonical)[^>]*?\bhref=["']?(?P<href>[^"'\s>]+)"""
    r"""|@import\s+(?:url\()?["']?(?P<imported>[^"')\s]+)|url\(["']?(?P<url>[^"')]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The site, built as `make docs` does."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout + ran.stderr == ""
    yield out


def navigation() -> set[str]:
    content = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    return set(re.findall(r"[\w./-]+\.md\b", content))


def test_every_guide_is_in_the_navigation() -> None:
    """Decisions are listed on a page of their own."""
    docs = ROOT / "docs"
    pages = {path.relative_to(docs).as_posix() for path in (*docs.glob("*.md"), *docs.glob("reference/*.md"))}
    assert pages - navigation() == set()


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    foreign = set()
    for path in (*site.rglob("*.html"), *site.rglob("*.css")):
        content = path.read_text(encoding="utf-8")
        if path.suffix == ".html":
            content = re.sub(r"<(pre|code)\b.*?</\1>", "", content, flags=re.DOTALL)
        for match in FETCHED.finditer(content):
            address = next(value for value in match.groups() if value)
            if re.match(r"(?:https?:)?//", address):
                foreign.add(f"{path.relative_to(site)}: {address}")
    assert foreign == set()


def test_figures_take_the_colors_of_the_page(site: Path) -> None:
    page = (site / "concepts.html").read_text(encoding="utf-8")
    source = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    figures = re.findall(r"\]\(figures/[\w-]+\.svg\)", source)
    assert len(figures) >= 5
    assert page.count('<span class="figure"') == page.count("class='fig'") == len(figures)
    assert "<img" not in page


def test_links_out_of_docs_lead_to_pages_of_the_site(site: Path) -> None:
    page = (site / "plugins.html").read_text(encoding="utf-8")
    target = "repository/packages/core/src/alknet_firewall/plugins/hookspecs.py.html"
    assert f'href="{target}"' in page
    assert "alknet_firewall_behaviors" in (site / target).read_text(encoding="utf-8")


def test_the_reference_names_what_is_public(site: Path) -> None:
    import alknet_firewall

    pages = "".join(path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html"))
    documented = set(re.findall(r'id="alknet_firewall\.(\w+)"', pages))
    missing = set(alknet_firewall.__all__) - documented - {"__version__", "hookimpl"}
    assert {name for name in missing if f'id="alknet_firewall.errors.{name}"' not in pages} == set()
