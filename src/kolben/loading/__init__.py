"""Finding a program's application, and standing in for Flask."""
