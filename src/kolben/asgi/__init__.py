"""The ASGI gateway: HTTP, WebSockets and the server's lifespan. Never imported under WSGI."""
