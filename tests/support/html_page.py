"""A reader of our pages, strict about what HTML lets pass: every tag is closed, in order, and ids are single."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "rect", "link", "input"}


class Page(HTMLParser):
    """Elements of a page: ``(tag, attributes)`` in order; ``text`` is all that is to be read."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements = []
        self.tables = []
        self._open = []
        self._texts = []
        self.feed(text)
        self.close()
        assert self._open == [], f"never closed: {self._open}"
        ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        self.text = " ".join(" ".join(self._texts).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def table(self, heading):
        """Rows of texts of the first table that has ``heading`` as a cell of its first row."""
        return next(table for table in self.tables if table and heading in table[0])

    def handle_starttag(self, tag, attrs):
        assert len(attrs) == len(dict(attrs)), f"an attribute twice in {tag}"
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open, f"{tag} was not open"
        assert self._open.pop() == tag, f"{tag} closes another"

    def handle_data(self, data):
        if "style" in self._open:
            return
        self._texts.append(data)
        if self._open and {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data.strip()
