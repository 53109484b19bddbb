"""Pages of the notebooks: executed ones with their outputs, the others as code."""


def notebook_pages() -> dict[str, str | bytes]:
    """Pages and their pictures by path."""
    return {}
