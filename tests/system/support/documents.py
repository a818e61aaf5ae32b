"""The project's pages as data: sections, rows of tables, fenced blocks."""

import re

from .daemon_process import SOURCE_DIR

PAGES = sorted([*SOURCE_DIR.glob("*.md"), *(SOURCE_DIR / "docs").rglob("*.md")])


def page(name):
    return (SOURCE_DIR / name).read_text(encoding="utf-8")


def rows(text):
    """The table rows of a page: lists of cells, without backquotes around a whole cell."""
    for line in text.splitlines():
        if line.startswith("| `") and line.endswith(" |"):
            cells = re.split(r"(?<!\\)\|", line[1:-1])
            yield [re.sub(r"^`([^`]*)`$", r"\1", cell.strip()) for cell in cells]


def section(text, title, level=2):
    mark = "#" * level
    return re.split(rf"\n#{{2,{level}}} ", text.split(f"\n{mark} {title}\n", 1)[1])[0]


def blocks(text):
    """(language, content) of the fenced blocks, in order. doc_blocks.py knows their marks too."""
    return re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.S | re.M)
