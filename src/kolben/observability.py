"""Access log, request ids and JSON log lines, for programs that set them up by themselves."""

from __future__ import annotations

from .serving.observability import (
    AccessLogMiddleware as AccessLogMiddleware,
    JSONFormatter as JSONFormatter,
    RequestIdFilter as RequestIdFilter,
    RequestIdMiddleware as RequestIdMiddleware,
    get_request_id as get_request_id,
)
