"""Registration without I/O; see ``README.md`` beside this file for the rule of the layer."""
