"""Flask-WTF: a form as a class, with a token against forms of other sites."""

from __future__ import annotations

import re

from flask_wtf import FlaskForm
from wtforms import IntegerField, StringField
from wtforms.validators import DataRequired, NumberRange

from kolben import Flask, redirect, render_template_string
from kolben.typing import ResponseReturnValue

app = Flask(__name__)
app.secret_key = "from the environment, in earnest"

PAGE = """
<form method="post">
  {{ form.hidden_tag() }}
  {{ form.title.label }} {{ form.title }} {{ form.title.errors | join }}
  {{ form.pages.label }} {{ form.pages }} {{ form.pages.errors | join }}
  <button>Keep</button>
</form>
"""


class BookForm(FlaskForm):
    title = StringField("Title", validators=[DataRequired("A book has a title.")])
    pages = IntegerField("Pages", validators=[NumberRange(1, 9999, "1 to 9999, please.")])


@app.route("/", methods=["GET", "POST"])
def add() -> ResponseReturnValue:
    form = BookForm()
    if form.validate_on_submit():
        return redirect("/kept")
    return render_template_string(PAGE, form=form)


def test_the_form_is_taken_with_its_token_only() -> None:
    client = app.test_client()
    (token,) = re.findall(r'name="csrf_token" type="hidden" value="([^"]+)"', client.get("/").text)
    book = {"title": "Emma", "pages": "474"}
    assert client.post("/", data=book).status_code == 200
    assert client.post("/", data=book | {"csrf_token": token}).location == "/kept"
    faults = client.post("/", data={"title": "", "pages": "0", "csrf_token": token}).text
    assert "A book has a title." in faults
    assert "1 to 9999, please." in faults
