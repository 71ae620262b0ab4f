"""The text of a page."""

import html
import re


def visible_text(page: str) -> str:
    """What a reader sees."""
    body = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", body).split()))
