"""What the tests of `kolben serve` share."""

from __future__ import annotations

from kolben_serve import certificates as certificates, serve as serve
