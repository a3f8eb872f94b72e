"""Pages to read, in a window: the guide to the tab, and the cards of the models. Both are Markdown."""

from pathlib import Path

import wx.html
from larch.wxlib import get_color
from markdown_it import MarkdownIt

from ..models import card_text


def show_guide(frame) -> None:
    text = Path(__file__).with_name("guide.md").read_text(encoding="utf-8")
    frame.show_subframe("cn_guide", PageFrame, title="Coordination Numbers in Larix", text=text)


def show_card(frame) -> None:
    frame.show_subframe("cn_model_card", PageFrame, title="Models for Coordination Numbers", text=card_text())


class PageFrame(wx.Frame):
    """A page of Markdown; its pictures are left out, its links open where the user's browser is."""

    def __init__(self, parent, title, text):
        super().__init__(parent, title=title, size=(1000, 700))
        self.page = wx.html.HtmlWindow(self)
        self.page.Bind(wx.html.EVT_HTML_LINK_CLICKED, lambda event: wx.LaunchDefaultBrowser(event.LinkInfo.Href))
        markdown = MarkdownIt("js-default")
        markdown.add_render_rule("image", lambda *token: "")
        shown = markdown.render(text).replace("<table>", "<table border=1 cellspacing=0 cellpadding=3>")
        behind, ink = (wx.Colour(get_color(name)).GetAsString(wx.C2S_HTML_SYNTAX) for name in ("text_bg", "text"))
        self.page.SetPage(f"<body bgcolor={behind} text={ink}>{shown}</body>")
