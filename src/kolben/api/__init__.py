"""Typed handlers: what a view reads and returns is what its signature says, and so is the document.

Needs the extra ``kolben[api]``.
"""

from __future__ import annotations

try:
    from msgspec import Meta as Meta, Struct as Struct
except ImportError:
    raise ImportError('kolben.api needs msgspec: pip install "kolben[api]".') from None

from .app import API as API
from .client import Client as Client, Remote as Remote
from .markers import (
    Accepted as Accepted,
    APIKey as APIKey,
    Basic as Basic,
    Bearer as Bearer,
    Body as Body,
    Cookie as Cookie,
    Created as Created,
    EventStream as EventStream,
    Form as Form,
    Header as Header,
    Name as Name,
    OAuth2 as OAuth2,
    Query as Query,
    SessionCookie as SessionCookie,
    SyncEventStream as SyncEventStream,
    given as given,
)
from .operations import APIBlueprint as APIBlueprint
from .paging import Page as Page
from .problems import (
    Fault as Fault,
    InvalidRequest as InvalidRequest,
    Problem as Problem,
)
from .sockets import Socket as Socket
from .streams import Event as Event
