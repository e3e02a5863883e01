"""A hook of MkDocs: what the pages link to outside docs/ becomes pages of the site, `start.md` its first page.

The pages are written to be read in a repository as well, where a link to a source file or to CONTRIBUTING.md is a plain
relative path. Here a Markdown file outside docs/ becomes a page under `repository/`, any other file a page that shows
it. So no link leaves the site, and nothing is said twice. Figures are put into the pages, where they take the colors
of the page, light or dark.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = "repository/"
_CODE = re.compile(r"^(?P<fence>`{3,})\w*\n.*?^(?P=fence)$|`[^`\n]+`|<!--.*?-->", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?=\))")
_LANGUAGES = {".py": "python", ".toml": "toml", ".yml": "yaml", ".yaml": "yaml", ".sh": "sh", ".json": "json"}
_FIGURE = re.compile(r'<img alt="(?P<alt>[^"]*)" src="(?:\.\./)*figures/(?P<name>[\w-]+\.svg)"\s*/?>')
_MOST = 60_000  # characters of a file that is shown


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page for every file outside docs/ that a page of the site links to."""
    named = _named_in(config.nav or [])
    seen: set[str] = set()
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    waiting += [uri.removeprefix(OUTSIDE) for uri in named if uri.startswith(OUTSIDE)]
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        if not source.startswith("docs/"):
            files.append(_page_of(source, config))
        if source.endswith(".md"):
            waiting += _linked(source)
    for file in files:
        if file.src_uri in ("start.md", "index.md"):  # a site begins where a reader does
            file.dest_uri = {"start.md": "index.html", "index.md": "contents.html"}[file.src_uri]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links that leave docs/, and links between files outside it, to the pages made of them."""
    source = _source_of(page.file.src_uri)
    here = posixpath.dirname(page.file.src_uri)

    def turned(match: re.Match[str]) -> str:
        target = _target(source, match["path"])
        inside = target.startswith("docs/")
        if inside and source.startswith("docs/"):
            return match[0]
        uri = target.removeprefix("docs/") if inside else _uri_of(target)
        return posixpath.relpath(uri, here) + (match["anchor"] or "")

    return _outside_code(markdown, lambda text: _LINK.sub(turned, text))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts the figures themselves in place of the links to them."""

    def drawn(match: re.Match[str]) -> str:
        figure = (ROOT / "docs" / "figures" / match["name"]).read_text(encoding="utf-8")
        return f'<span class="figure" role="figure" aria-label="{match["alt"]}" tabindex="0">{figure}</span>'

    return _FIGURE.sub(drawn, html)


def _outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """The page, changed wherever it is not code."""
    parts, end = [], 0
    for code in _CODE.finditer(markdown):
        parts += [change(markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(markdown[end:])])


def _linked(source: str) -> list[str]:
    """Files outside docs/ that a Markdown file links to."""
    found: list[str] = []

    def note(text: str) -> str:
        found.extend(_target(source, match["path"]) for match in _LINK.finditer(text))
        return text

    _outside_code((ROOT / source).read_text(encoding="utf-8"), note)
    return [target for target in found if not target.startswith("docs/")]


def _target(source: str, path: str) -> str:
    """The file that a link leads to, from the repository's root; of a folder its README.

    Raises:
        PluginError: There is none.
    """
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if (ROOT / target).is_dir():
        target = posixpath.join(target, "README.md")
    inside = target.startswith("docs/")  # MkDocs itself looks whether those are there
    if not inside and (target.startswith("..") or not (ROOT / target).is_file()):
        raise PluginError(f"{source}: a link leads to {target}, which is not there")
    return target


def _page_of(source: str, config: MkDocsConfig) -> File:
    """The page that a file outside docs/ becomes."""
    path = ROOT / source
    if path.suffix == ".md":
        return File.generated(config, _uri_of(source), content=path.read_text(encoding="utf-8"))
    code = path.read_text(encoding="utf-8")
    if len(code) > _MOST:
        code = f"{code[:_MOST]}\n... ({len(code):,} characters in all)\n"
    language = _LANGUAGES.get(path.suffix, "text")
    content = (
        f"---\nsearch: {{exclude: true}}\n---\n# {path.name}\n\n`{source}`\n\n````{language}\n{code}````\n"
    )
    return File.generated(config, _uri_of(source), content=content)


def _uri_of(source: str) -> str:
    """The page's place in the site, for a file outside docs/."""
    return OUTSIDE + (source if source.endswith(".md") else f"{source}.md")


def _source_of(uri: str) -> str:
    """The file that a page was made of, from the repository's root."""
    if not uri.startswith(OUTSIDE):
        return f"docs/{uri}"
    source = uri.removeprefix(OUTSIDE)
    shown = source.removesuffix(".md")
    return source if (ROOT / source).is_file() else shown


def _named_in(nav: object) -> list[str]:
    """The pages that a navigation names, at any depth."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ()
    return [uri for part in parts for uri in _named_in(part)]
