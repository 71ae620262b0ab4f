"""The page's HTML from its sections: one file, with its style and its script."""

import base64
import hashlib
import importlib.resources
import re
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2
from markupsafe import Markup, escape

from study.report.page.parts import Section

SCRIPTS = ("tables", "pictures", "curves", "main")
"""Files of the script, one after the other."""


@dataclass(frozen=True)
class Live:
    """What a page that is served while a study runs follows.

    Attributes:
        events: where the server sends its events from, from the page's own address.
        version: of the ledger that the page was made of.
    """

    events: str
    version: str


def render(
    name: str, facts: Sequence[str], sections: Sequence[Section], live: Live | None = None
) -> str:
    """Return the page; its policy lets it load nothing, and run no script but its own.

    Args:
        name: the study's.
        facts: what the page begins with.
        sections: in order.
        live: what it follows; None for a page that stays as it is.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_part),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["breakable"] = _breakable
    template = environment.get_template("page.html")
    script = "\n".join(_part(f"script/{part}.js") for part in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return template.render(
        name=name,
        facts=facts,
        sections=sections,
        script=Markup(script),
        script_hash=f"sha256-{digest}",
        live=live.events if live else "",
        version=live.version if live else "",
    )


def _breakable(name: str) -> Markup:
    """Return a name that may be broken after its dots and underscores."""
    return Markup(re.sub(r"([._])(?=.)", r"\1<wbr>", str(escape(name))))


def _part(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text("utf-8")
