"""How a request is answered: the plan of an application, its routes, its answers. No socket, no event loop."""
