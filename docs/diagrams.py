"""The directive for drawings, which stand in the pages as text: `drawing.py` says how.

```{diagram} What is to be seen
:up:
server  | server
view    >
```
"""

from __future__ import annotations

import typing as t

from docutils import nodes
from docutils.parsers.rst import directives
from drawing import Drawing
from sphinx.util.docutils import SphinxDirective


class Diagram(SphinxDirective):
    """A drawing; its argument describes it."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: t.ClassVar[dict[str, t.Any]] = {"up": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Give the drawing as SVG in the page."""
        drawing = Drawing("\n".join(self.content), upward="up" in self.options)
        return [nodes.raw("", drawing.svg(self.arguments[0]), format="html")]


def setup(app: t.Any) -> dict[str, t.Any]:
    """Add the directive to Sphinx."""
    app.add_directive("diagram", Diagram)
    return {"parallel_read_safe": True, "version": "1"}
