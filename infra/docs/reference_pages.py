"""Pages of reference that are made from declarations: settings, tables, commands, the API.

Each function returns Markdown by the path of its page. Nothing here knows MkDocs (`site_hook.py`
does), and nothing is stated here that is declared elsewhere.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import typer

import genept
from genept.cli.app import add_commands, app
from genept.common import Settings
from genept.schema import Column, Table, foreign_keys
from genept.schema.tables import SCHEMA_VERSION, TABLES

PROJECT: Final = Path(__file__).parents[2]
SETTINGS_BEGIN: Final = "<!-- made from genept/common/settings.py: begin -->"
SETTINGS_END: Final = "<!-- end -->"


def text(words: object) -> str:
    """Words as the text of a Markdown table's cell; what is in backticks stays code."""
    parts = re.split(r"(`[^`]*`)", " ".join(str(words).split()))
    kept = [
        part if part.startswith("`") else re.sub(r"([<*_\[\]])", r"\\\1", part) for part in parts
    ]
    return "".join(kept).replace("|", "\\|")


def table_of(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


# --- settings -----------------------------------------------------------------------------


def _default(value: object) -> str:
    if value is None or value in ((), {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def settings_table() -> str:
    """The settings by name, with what their declaration says of each."""
    rows = []
    for name, field in Settings.model_fields.items():
        meaning = text(field.description or "")
        # A page that the declaration names is a link; pages of settings stand in docs/.
        meaning = re.sub(r"docs/(\w+)\.md(#[\w-]+)?", r"[\1](\1.md\2)", meaning)
        rows.append((f"`GENEPT_{name.upper()}`", _default(field.default), meaning))
    return table_of(("setting", "default", "meaning"), rows)


def with_settings(page: str) -> str:
    """A page with the table of settings between its two marks."""
    before, _, rest = page.partition(SETTINGS_BEGIN)
    _, _, after = rest.partition(SETTINGS_END)
    return f"{before}{SETTINGS_BEGIN}\n\n{settings_table()}\n{SETTINGS_END}{after}"


# --- tables -------------------------------------------------------------------------------


def _rules(column: Column) -> str:
    bounds = (("≥", column.minimum), ("≤", column.maximum))
    rules = [f"{sign} {bound:g}" for sign, bound in bounds if bound is not None]
    if column.allowed:
        rules.append("one of " + ", ".join(f"`{value}`" for value in column.allowed))
    if column.pattern:
        rules.append(f"matches `{column.pattern}`")
    if column.norm is not None:
        rules.append(f"length {column.norm:g}")
    if column.deprecated:
        rules.append(f"deprecated: {column.deprecated}")
    return "; ".join(rules)


def _table(table: Table) -> Iterator[str]:
    yield f"## {table.name}\n\n{table.meaning}\n"
    yield f"Key: {', '.join(f'`{name}`' for name in table.key)}."
    if table.partition:
        yield f"Split into files by {', '.join(f'`{name}`' for name in table.partition)}."
    if table.deprecated:
        yield f"Deprecated: {table.deprecated}"
    for key in foreign_keys(table):
        if key.table in TABLES:
            page = f"{TABLES[key.table].group}.md#{key.table}"
            names = " with ".join(f"`{name}`" for name in key.columns)
            yield f"{names} names a row of [{key.table}]({page})."
    rows = (
        (
            f"`{column.name}`",
            f"`{column.type_name}`" + (", may be missing" if column.nullable else ""),
            text(column.unit or ""),
            text(column.meaning) + (f" ({text(rules)})" if (rules := _rules(column)) else ""),
        )
        for column in table.columns
    )
    yield "\n" + table_of(("column", "type", "unit", "meaning and rules"), rows)


def table_pages() -> dict[str, str]:
    """A page for each group of tables, and one that lists them."""
    groups = defaultdict(list)
    for table in TABLES.values():
        groups[table.group].append(table)
    pages = {
        f"reference/tables/{group}.md": f"# Tables: {group}\n\n"
        + "\n".join(line for table in tables for line in _table(table))
        for group, tables in groups.items()
    }
    rows = (
        (f"[{table.name}]({table.group}.md#{table.name})", text(table.meaning))
        for table in TABLES.values()
    )
    pages["reference/tables/index.md"] = (
        f"# Tables\n\nWhat a release holds, by schema {SCHEMA_VERSION}. `genept table NAME` prints "
        "the same, and the first rows.\n\n" + table_of(("table", "one row is"), rows)
    )
    return pages


# --- commands -----------------------------------------------------------------------------


def _parameter(parameter: Any) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`"
    notes = []
    if parameter.required:
        notes.append("required")
    elif not callable(parameter.default) and parameter.default not in (None, False, (), []):
        notes.append(f"default `{parameter.default}`")
    if parameter.multiple:
        notes.append("may be repeated")
    return names, text(parameter.help or ""), text("; ".join(notes))


def _command(path: str, command: Any, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} {path}\n"
    help_text = re.sub(r"\n{2,}", "\n\n", (command.help or "").strip())
    yield "\n\n".join(text(part) for part in help_text.split("\n\n")) + "\n"
    children = getattr(command, "commands", {})
    shown = [entry for entry in command.params if not getattr(entry, "hidden", False)]
    shown = [entry for entry in shown if entry.name != "help"]
    if shown:
        yield table_of(("argument or option", "meaning", ""), map(_parameter, shown))
    for name, child in children.items():
        if not child.hidden:
            yield from _command(f"{path} {name}", child, depth + 1)


def command_pages() -> dict[str, str]:
    """A page for each command of the first level, and one that lists them."""
    if not {"demo", "genes"} <= {entry.name for entry in app.registered_commands}:
        add_commands()
    tree: Any = typer.main.get_command(app)
    pages, rows = {}, []
    for name, command in sorted(tree.commands.items()):
        if command.hidden:
            continue
        pages[f"reference/cli/{name}.md"] = "\n".join(_command(f"genept {name}", command, 1))
        summary = (command.help or "").strip().split("\n\n")[0]
        rows.append((f"[`genept {name}`]({name}.md)", text(summary)))
    pages["reference/cli/index.md"] = (
        "# Command line\n\nAll commands, as `genept COMMAND --help` describes them.\n\n"
        + table_of(("command", "what it does"), rows)
    )
    return pages


# --- the API ------------------------------------------------------------------------------


def exported(package: Path) -> list[str]:
    """Full names of what a package offers, where it is defined, from its `__init__.pyi`."""
    prefix = ".".join(package.relative_to(PROJECT).parts)
    names = []
    for statement in ast.parse((package / "__init__.pyi").read_text("utf-8")).body:
        if isinstance(statement, ast.ImportFrom):
            below = package / str(statement.module).replace(".", "/")
            offered = {alias.name for alias in statement.names}
            if (below / "__init__.pyi").exists():  # offered by a package below, too
                names += [name for name in exported(below) if name.rpartition(".")[2] in offered]
            else:
                names += [f"{prefix}.{statement.module}.{name}" for name in sorted(offered)]
    return names


LAST_IN_SEARCH = "---\nsearch:\n  boost: 0.2\n---\n\n"
"""Whoever seeks "h5ad" wants the page that says how, before the class that reads one."""


def _api_page(page: str, docstring: str, names: Iterable[str], described: dict[str, str]) -> str:
    """What is not described on another page, and links to what is."""
    parts, elsewhere = [f"# {page}", docstring], []
    for name in names:
        if described.setdefault(name, page) == page:
            parts.append(f"::: {name}")
        else:
            elsewhere.append(f"[`{name.rpartition('.')[2]}`]({described[name]}.md#{name})")
    if elsewhere:
        parts.append("Also offered here: " + ", ".join(elsewhere) + ".")
    return "\n\n".join(parts) + "\n"


def api_pages() -> dict[str, str]:
    """A page for each package with the names it offers, and one that lists the packages."""
    offered = [getattr(genept, name) for name in genept.__all__]
    names = [f"{entry.__module__}.{entry.__qualname__}" for entry in offered]
    described: dict[str, str] = {}
    summary = "What an analyst needs: `import genept`."
    pages = {"genept": _api_page("genept", summary, names, described)}
    summaries = {"genept": summary}
    stubs = [path for top in ("genept", "validation") for path in (PROJECT / top).rglob("*.pyi")]
    for stub in sorted(stubs, key=lambda path: (-len(path.parts), path)):  # those below first
        name = ".".join(stub.parent.relative_to(PROJECT).parts)
        docstring = ast.get_docstring(ast.parse(stub.with_suffix(".py").read_text("utf-8"))) or ""
        pages[name] = _api_page(name, docstring, exported(stub.parent), described)
        summaries[name] = docstring.split("\n\n")[0]
    rows = ((f"[{name}]({name}.md)", text(summaries[name])) for name in sorted(pages))
    listed = table_of(("package", "what belongs in it"), rows)
    pages["index"] = (
        "# Python\n\nWhat each package offers to others, from the docstrings of its sources. "
        f"Analysts need [genept](genept.md) alone.\n\n{listed}"
    )
    return {
        f"reference/api/{name}.md": page if name == "genept" else f"{LAST_IN_SEARCH}{page}"
        for name, page in pages.items()
    }
