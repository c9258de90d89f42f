"""Pages of the documentation that are made of the registries, one for each entry."""
