"""The floor of the JSON workloads: the standard encoder alone, set as Flask sets it."""

from __future__ import annotations

import json
from functools import partial

from workloads import RECORDS

KIND = "call"
WORKLOADS = ("records",)
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
app = {"records": partial(_encode, RECORDS)}
