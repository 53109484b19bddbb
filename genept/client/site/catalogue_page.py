"""The catalogue page: tables, results, models, issues, lineage, quality, licences of a release.

Rendered while the release is audited, from its manifest and its small tables; what is
shown of the numbers is chosen in `genept.client.site.page_parts`, and drawn in `.figures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files as resources

import polars as pl

from genept.client.site.page_parts import (
    coverages,
    headline_scores,
    interval_plot,
    leaderboard,
    read_table,
    share_bar,
)
from genept.client.snippets import Snippets
from genept.common import NO_SCRIPTS, html_text
from genept.release import Manifest, ReleasedColumn, ReleasedFiles, ReleasedTable

SECTIONS = {
    "use": "Use it",
    "results": "Results",
    "models": "Models",
    "issues": "Known issues",
    "tables": "Tables",
    "lineage": "Lineage",
    "coverage": "Coverage",
    "quality": "Quality",
    "licences": "Licences and citations",
}


def release_site(manifest: Manifest, files: ReleasedFiles) -> Mapping[str, bytes]:
    """The page that describes a release, and its style.

    Parameters
    ----------
    manifest
        Manifest of the release.
    files
        Files of the releases, from which tables are read.

    Returns
    -------
    Mapping of str to bytes
        HTML and CSS by path under the release's `audit/`.
    """
    collections = read_table(files, manifest, "collections")
    bodies = {
        "use": _use(manifest, files),
        "results": _results(manifest, files),
        "models": _models(manifest),
        "issues": _issues(manifest, collections),
        "tables": map(_table, manifest.tables, manifest.tables.values()),
        "lineage": _lineage(manifest),
        "coverage": _coverage(manifest, files, collections),
        "quality": _quality(manifest),
        "licences": _licences(manifest, collections),
    }
    content = "".join(
        f'<section id="{name}"><h2>{SECTIONS[name]}</h2>{"".join(body)}</section>'
        for name, body in bodies.items()
    )
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{NO_SCRIPTS}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Release {manifest.release_id}</title>"
        '<link rel="stylesheet" href="style.css"></head><body>'
        f"{_head(manifest)}<main>{content}</main></body></html>\n"
    )
    style = resources("genept.client.site").joinpath("style.css").read_bytes()
    return {"site/index.html": page.encode(), "site/style.css": style}


def _head(manifest: Manifest) -> str:
    rows = sum(table.rows for table in manifest.tables.values())
    size = sum(table.bytes for table in manifest.tables.values())
    facts = {
        "published (UTC)": manifest.created_at[:16].replace("T", " "),
        "tables": f"{len(manifest.tables)}",
        "rows": f"{rows:,}",
        "megabytes": f"{size / 1e6:,.0f}",
        "schema version": manifest.schema_version or "none",
        "data version": manifest.data_version[:12],
    }
    shown = "".join(
        f'<div><b>{html_text(value)}</b><span class="soft">{name}</span></div>'
        for name, value in facts.items()
    )
    state = "complete"
    if not manifest.complete:
        state = f'<span class="warn">partial: {html_text(str(manifest.limits))}</span>'
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in SECTIONS.items())
    return (
        "<header><h1>Gene, cell and sample embeddings</h1>"
        f"<p>Release <code>{manifest.release_id}</code>, {state}. Research use only.</p>"
        f'<div class="facts">{shown}</div>'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav></header>'
    )


def _use(manifest: Manifest, files: ReleasedFiles) -> Iterator[str]:
    made = Snippets(files, manifest)
    yield "<p>With <code>genept</code> installed, this release and no other:</p>"
    yield _code(
        f'import genept\n\nrelease = "{manifest.release_id}"\n'
        f'genes = genept.load_table("genes", release=release).collect()\n'
        f'ids, vectors = genept.load_embeddings(space="{made.space() or "SPACE"}", release=release)'
    )
    yield (
        "<p>Any other parquet reader will do. <code>genept</code> only hands over the keys here; "
        "elsewhere sign in as for any S3:</p>"
    )
    for library, code in {**made.readers(), "R": made.r()}.items():
        yield f"<details><summary>{library}</summary>{_code(code)}</details>"
    yield "<p>Whole questions, to be pasted and changed:</p>"
    for question, code in made.questions().items():
        yield f"<details><summary>{html_text(question)}</summary>{_code(code)}</details>"
    spaces = sorted({file.partition[0] for file in manifest.tables["gene_embeddings"].files})
    yield f"<p>Spaces: {', '.join(f'<code>{html_text(one)}</code>' for one in spaces)}.</p>"


def _lineage(manifest: Manifest) -> Iterator[str]:
    """What every table was made from, by the origins of its files."""
    yield "<p>Every file says in the manifest what it was made from, and by which code.</p>"
    rows = []
    for name, table in manifest.tables.items():
        inputs = sorted({one for file in table.files for one in file.origin.get("inputs", {})})
        linked = (
            f'<a href="#table-{one}">{one}</a>' if one in manifest.tables else html_text(one)
            for one in inputs
        )
        rows.append((f'<a href="#table-{name}">{name}</a>', ", ".join(linked) or "sources alone"))
    yield _grid(("table", "made from"), rows, escaped=True)


def _results(manifest: Manifest, files: ReleasedFiles) -> Iterator[str]:
    yield (
        "<p>No score without the controls that it has to beat. Where intervals overlap, there is "
        "no difference to speak of.</p>"
    )
    for what, cohort, n, scores in headline_scores(files, manifest):
        yield f'<h3>{what}, {html_text(cohort)} <span class="soft">(n = {n:,})</span></h3>'
        yield interval_plot(scores)
    yield "<h3>Leaderboard</h3>"
    yield from leaderboard(files, manifest)


def _models(manifest: Manifest) -> Iterator[str]:
    cards = [path for path in sorted(manifest.audit) if path.startswith("models/")]
    names = [path.removeprefix("models/")[:-5] for path in cards if path.endswith(".html")]
    if not names:
        yield "<p>No model was trained.</p>"
        return
    yield (
        "<p>Every model has a card: its data, scores with intervals, confusion matrix, calibration "
        "and limits. Beside it stands what each retraining knows of each cohort and class.</p>"
    )
    items = ""
    for name in map(html_text, names):
        items += f'<li><a href="../models/{name}.html">Card of {name}</a>'
        if f"models/{name}-forgetting.png" in manifest.audit:
            items += f', <a href="../models/{name}-forgetting.png">what each retraining knows</a>'
        items += "</li>"
    yield f"<ul>{items}</ul>"


def _issues(manifest: Manifest, collections: pl.DataFrame) -> Iterator[str]:
    found = []
    if not manifest.complete:
        found.append(f"The release is partial: {manifest.limits}.")
    if manifest.left_out:
        found.append(f"Left out, as they may not be passed on: {', '.join(manifest.left_out)}.")
    if collections.width:
        caveats = collections.select("collection_id", "caveat").drop_nulls()
        found += [f"{collection}: {caveat}" for collection, caveat in caveats.iter_rows()]
    for name, proof in manifest.evidence.items():
        found += [f"{name}: {one}" for one in proof.warnings]
    deprecated = [
        f"{name}.{column.name} will be dropped or changed: {column.deprecated}"
        for name, table in manifest.tables.items()
        for column in table.columns
        if column.deprecated
    ]
    items = "".join(f"<li>{html_text(one)}</li>" for one in (*found, *deprecated))
    yield f"<ul>{items}</ul>" if items else "<p>None are known.</p>"
    if "differences.md" in manifest.audit:
        yield '<p><a href="../differences.md">What changed since the release before</a></p>'


def _table(name: str, table: ReleasedTable) -> str:
    inputs = sorted({one for file in table.files for one in file.origin.get("inputs", {})})
    split = f", split by {', '.join(table.partition)}" if table.partition else ""
    columns = _grid(
        ("column", "type", "unit", "meaning"), (_column(column) for column in table.columns)
    )
    made_from = f"<p>Made from: {html_text(', '.join(inputs))}.</p>" if inputs else ""
    return (
        f'<details id="table-{name}"><summary>{name} <span class="soft">{table.rows:,} rows, '
        f"{table.bytes / 1e6:,.1f} MB</span></summary><p>{html_text(table.meaning)}</p>"
        f"<p>Key: {', '.join(table.key)}{split}; {len(table.files)} files below "
        f"<code>data/{name}/</code>.</p>{made_from}{columns}</details>"
    )


def _column(column: ReleasedColumn) -> tuple[str, ...]:
    meaning = column.meaning
    if column.allowed:
        meaning += f" One of: {', '.join(column.allowed)}."
    if column.minimum is not None or column.maximum is not None:
        ends = ("" if end is None else f"{end:g}" for end in (column.minimum, column.maximum))
        meaning += f" Bounds: {' … '.join(ends).strip()}."
    if column.nullable:
        meaning += " May be empty."
    return column.name, column.type, column.unit or "", meaning


def _coverage(manifest: Manifest, files: ReleasedFiles, collections: pl.DataFrame) -> Iterator[str]:
    if collections.width:
        yield "<p>Share of each collection's expression whose gene name could be resolved:</p>"
        bars = (
            share_bar(
                f"{row['collection_id']} ({row['n_observations']:,})", row["mapped_expression"]
            )
            for row in collections.iter_rows(named=True)
        )
        yield f'<div class="plot" role="list">{"".join(bars)}</div>'
    shares = list(coverages(files, manifest))
    if shares:
        yield "<p>Share of an observation's weight on genes that have a vector, on average:</p>"
        yield f'<div class="plot" role="list">{"".join(share_bar(*one) for one in shares)}</div>'


def _quality(manifest: Manifest) -> Iterator[str]:
    yield "<p>Every table was checked against its declaration before it was released.</p>"
    rows = []
    for name, proof in manifest.evidence.items():
        page = f"checks/{name}.html"
        link = f'<a href="../{page}">{name}</a>' if page in manifest.audit else name
        found = "; ".join((*proof.failed, *proof.warnings)) or "all hold"
        rows.append((link, str(proof.expectations), html_text(found)))
    yield _grid(("table", "expectations", "findings"), rows, escaped=True)


def _licences(manifest: Manifest, collections: pl.DataFrame) -> Iterator[str]:
    if collections.width:
        yield "<h3>Collections</h3>"
        names = ("collection_id", "title", "licence", "redistributable", "citation")
        yield _grid(
            ("collection", "what", "licence", "may be passed on", "cite"),
            (
                tuple(_yes_no(row[name]) for name in names)
                for row in collections.iter_rows(named=True)
            ),
        )
    yield "<h3>Sources</h3>"
    yield _grid(
        ("source", "version", "released", "licence", "may be passed on", "cite"),
        (
            (one.title, one.version, one.released, one.licence, _yes_no(one.redistributable),
             one.citation)
            for one in manifest.sources.values()
        ),
    )  # fmt: skip


def _grid(head: Iterable[str], rows: Iterable[tuple[str, ...]], *, escaped: bool = False) -> str:
    names = "".join(f"<th>{name}</th>" for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{cell if escaped else html_text(cell)}</td>' for cell in row)}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{names}</tr>{body}</table></div>'


def _code(text: str) -> str:
    return f"<pre><code>{html_text(text)}</code></pre>"


def _yes_no(value: object) -> str:
    return (
        {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )
