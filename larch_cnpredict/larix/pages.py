"""Pages to read, in a window: the guide to the tab, and the cards of the models. Both are Markdown."""

import html
import re
from pathlib import Path

import wx.html
from larch.wxlib import get_color

from ..models import card_text


def show_guide(frame) -> None:
    text = Path(__file__).with_name("guide.md").read_text(encoding="utf-8")
    frame.show_subframe("cn_guide", PageFrame, title="Coordination Numbers in Larix", text=text)


def show_card(frame) -> None:
    frame.show_subframe("cn_model_card", PageFrame, title="Models for Coordination Numbers", text=card_text())


class PageFrame(wx.Frame):
    """A page of Markdown."""

    def __init__(self, parent, title, text):
        super().__init__(parent, title=title, size=(1000, 700))
        self.page = wx.html.HtmlWindow(self)
        behind, ink = (wx.Colour(get_color(name)).GetAsString(wx.C2S_HTML_SYNTAX) for name in ("text_bg", "text"))
        self.page.SetPage(f"<body bgcolor={behind} text={ink}>{as_html(text)}</body>")


def as_html(text: str) -> str:
    """As much of Markdown as these pages have: headings, paragraphs, lists, tables, code, bold; no pictures."""
    blocks = re.split(r"\n\s*\n", re.sub(r"^(#.*)$", r"\n\1\n", text, flags=re.M).strip())
    return "\n".join(map(_block, blocks))


def _block(block: str) -> str:
    lines = block.strip("\n").splitlines()
    if heading := re.fullmatch(r"(#+) (.*)", block.strip()):
        return f"<h{len(heading[1]) + 1}>{_inline(heading[2])}</h{len(heading[1]) + 1}>"
    if lines[0].startswith("|"):
        cells = [line.strip("|").split("|") for line in lines if not re.fullmatch(r"[|\s:-]+", line)]
        rows = ("".join(f"<td>{_inline(cell.strip())}</td>" for cell in row) for row in cells)
        return f"<table border=1 cellspacing=0 cellpadding=3>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
    items = re.split(r"^(?:-|\d+\.) ", block, flags=re.M)
    if len(items) > 1 and not items[0].strip():
        return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items[1:]) + "</ul>"
    return f"<p>{_inline(block)}</p>"


def _inline(text: str) -> str:
    text = re.sub(r"!\[.*?\]\(.*?\)", "", html.escape(text, quote=False))
    text = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", text)
    text = re.sub(r"`(.*?)`", r"<tt>\1</tt>", text)
    return re.sub(r"\*(.+?)\*", r"<i>\1</i>", re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text, flags=re.S), flags=re.S)
