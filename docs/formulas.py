"""Formulas of the site as MathML, which browsers draw without a script."""

import html
import re

from latex2mathml.converter import convert


def on_page_content(content: str, **_) -> str:
    """MkDocs calls this with each page's HTML."""
    return re.sub(
        r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>',
        lambda found: convert(
            html.unescape(found[2]), display="inline" if found[1] == "span" else "block"
        ),
        content,
        flags=re.DOTALL,
    )
