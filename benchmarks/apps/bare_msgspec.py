"""The floor of the JSON workloads with msgspec: the encoder alone."""

from __future__ import annotations

from functools import partial

import msgspec
from workloads import RECORDS

KIND = "call"
WORKLOADS = ("records",)
app = {"records": partial(msgspec.json.Encoder().encode, RECORDS)}
