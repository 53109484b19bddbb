from genept.release.manifest import CheckEvidence
from validation.engine import index_page, standalone

DATA_DOCS = """<html><head><link rel="stylesheet" href="https://cdn.example/x.css">
<script src="https://cdn.example/x.js"></script></head><body>
<img src="https://example/logo.png?d=now"><a href="../../index.html">Home</a>
<a href="#value">value</a><i style="background: url('https://example/dark.png') no-repeat"></i>
<script>track()</script><p>Values must never be null.</p></body></html>"""


def test_a_page_fetches_nothing_and_keeps_its_text() -> None:
    page = standalone(DATA_DOCS).decode()
    assert "//" not in page
    assert "<script" not in page
    assert "track()" not in page
    assert 'href="index.html"' in page
    assert 'href="#value"' in page
    assert "Values must never be null." in page


def test_the_index_shows_findings_and_links_every_table() -> None:
    evidence = CheckEvidence(
        table="genes",
        data_version="0123456789abcdef",
        suite="s",
        passed=False,
        expectations=7,
        failed=("symbol: <b> is empty",),
        page="p",
    )
    page = index_page([evidence]).decode()
    assert 'href="genes.html"' in page
    assert "symbol: &lt;b&gt; is empty" in page
    assert "0123456789ab" in page
