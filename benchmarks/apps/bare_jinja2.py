"""The floor of the template workload: the render call alone."""

from __future__ import annotations

from functools import partial

import jinja2
from workloads import PAGE, TEMPLATES

KIND = "call"
WORKLOADS = ("template",)
_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, auto_reload=False
)
app = {"template": partial(_environment.get_template("page.html").render, PAGE)}
