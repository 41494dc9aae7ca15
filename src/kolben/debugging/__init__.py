"""What a developer sees when something goes wrong; in debug mode only, and imported only then."""
