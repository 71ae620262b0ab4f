"""What the site adds to MkDocs: pages of the repository that lie outside `docs/`.

Links are written as they work in the repository, from file to file. On the site a link to one
of these pages leads to the page, and one to any other file, which the site does not have, is
shown as the file's path.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/results/h100.md": "h100.md",
    "benchmarks/results/paper_mitbih_20_epochs.md": "paper_mitbih_20_epochs.md",
    "benchmarks/results/paper_wafer_40_epochs.md": "paper_wafer_40_epochs.md",
    "benchmarks/results/paper_wafer_fast.md": "paper_wafer_fast.md",
    "benchmarks/results/recipes.md": "recipes.md",
    "benchmarks/results/search_cost.md": "search_cost.md",
    "benchmarks/results/spectral_norm_mitbih.md": "spectral_norm_mitbih.md",
    "benchmarks/results/two_objectives.md": "two_objectives.md",
    "benchmarks/results/wafer_search.md": "wafer_search.md",
    "tests/chaos/README.md": "chaos.md",
    "tests/cluster/ray_up/README.md": "ray_up.md",
}
"""The page of the site of each file."""
LINK = re.compile(r"\[(?P<text>[^\]\n]+)\]\((?P<target>[^)#:\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=site_links(text, source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links out of `docs/` into links of the site; pages of `PAGES` have them already."""
    if page.file.src_uri in PAGES.values():
        return markdown
    return site_links(markdown, f"docs/{page.file.src_uri}")


def site_links(markdown: str, source: str) -> str:
    """Return the text of a file with links as the site has them.

    Args:
        markdown: its text.
        source: its path in the repository.

    Raises:
        PluginError: a link leads to no file.
    """

    def replaced(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link["target"]))
        if not (ROOT / target).exists():
            raise PluginError(f"{source}: {link['target']} does not exist")
        if target.startswith("docs/"):
            return f"[{link['text']}]({target.removeprefix('docs/')}{link['anchor'] or ''})"
        if target in PAGES:
            return f"[{link['text']}]({PAGES[target]}{link['anchor'] or ''})"
        return link["text"] if link["text"].startswith("`") else f"`{target}`"

    return LINK.sub(replaced, markdown)
