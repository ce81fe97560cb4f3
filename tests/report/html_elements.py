"""HTML pages as a browser would find them, of hand-made sections."""

from html.parser import HTMLParser

import plotly.graph_objects as go

from gatebench.report.html.content import Drawing, Part, Report
from gatebench.report.html.page import html_page


class Elements(HTMLParser):
    """What a browser would find: tags with attributes, and the text outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.packed, self._inside = [], [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self._inside = (tag, attributes.get("id")) if tag in ("script", "style") else self._inside

    def handle_endtag(self, tag):
        self._inside = None if tag in ("script", "style") else self._inside

    def handle_data(self, data):
        if self._inside is None:
            self.words.append(data)
        elif self._inside[1]:
            self.packed[self._inside[1]] = data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(*sections, title="a run"):
    return Elements(html_page(Report(title, (), sections)))


def part(number=1, **more):
    figure = go.Figure().add_scatter(x=[1, 2], y=[number, float("nan")])
    return Part("a part", {"Gate": f"g{number}"}, Drawing(lambda: figure, "alt", "name"), "a caption", **more)
