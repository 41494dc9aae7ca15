"""Beginning a project: what ``kolben new`` writes."""
