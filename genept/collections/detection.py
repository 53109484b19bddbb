"""From a local file and its owner's statements to a catalogue entry.

Combines what layout, axes and contents show. Trying the ingest out is `genept.collections.dry_run`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from genept.collections import axes, layouts
from genept.collections.detected_contents import LabelTable, Look, geo_fields, named_fields
from genept.collections.sidecar import Sidecar
from genept.collections.user_collections import local_archives, named_by_owner, user_sources
from genept.common import SourceError, listed, problems_of
from genept.datasources import FORMATS, Collection, Source, options_of, plugin_reader
from genept.datasources.readers.hdf5 import describe_h5ad
from genept.nomenclature import Nomenclature

_WITH_TABLES: Final = ("table", "gct", "geo_series", "tenx_mtx", "parquet")


class Detected(BaseModel):
    """A proposed catalogue entry with its sources, and what must still be stated.

    Parameters
    ----------
    entry
        The proposed collection; its unit is the likeliest while `open_questions` ask for it.
    sources
        Its files, pinned.
    files
        Local path by source id.
    seen
        What was detected, one line each.
    open_questions
        What the owner must state, one line each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    entry: Collection
    sources: tuple[Source, ...]
    files: dict[str, Path]
    seen: tuple[str, ...]
    open_questions: tuple[str, ...] = ()


def detect(
    file: Path,
    metadata: Path | None,
    sidecar: Sidecar,
    nomenclature: Nomenclature,
    *,
    bucket: str,
    product: str,
) -> Detected:
    """Detect how a file is to be read, and what its values are.

    Parameters
    ----------
    file
        The matrix.
    metadata
        Table of its observations, joined by their ids; None if there is none.
    sidecar
        What the owner states.
    nomenclature
        Maps gene names.
    bucket, product
        Where the files will be stored.

    Returns
    -------
    Detected
        The proposed entry.

    Raises
    ------
    SourceError
        The file cannot be read, or contradicts what is stated.
    """
    paths = [file] if metadata is None else [file, metadata]
    sources = user_sources(paths, sidecar.id, bucket=bucket, product=product, terms=sidecar.terms)
    files = {source.id: path for source, path in zip(sources, paths, strict=True)}
    with tempfile.TemporaryDirectory(prefix="genept-") as folder, named_by_owner(sources):
        archives = local_archives(files, sources, Path(folder))
        layout = layouts.layout_of(file, sidecar.options.get("member"))
        format_ = sidecar.format or layout.format
        _check_options(format_, sidecar)
        look = Look(archives, sources, sidecar, format_, dict(sidecar.options))
        labels = None if metadata is None else look.labels(metadata)
        _look_at_file(look, file, layout, nomenclature, labels)
        if labels is not None:
            _join_metadata(look, labels)
        _name_fields(look)
        unit = look.unit()
    return Detected(
        entry=look.entry(unit),
        sources=sources,
        files=files,
        seen=tuple(look.seen),
        open_questions=tuple(look.questions),
    )


def _check_options(format_: str, sidecar: Sidecar) -> None:
    """Refuse options that the format does not have, and values that they cannot have."""
    if format_ not in FORMATS and plugin_reader(format_) is None:
        raise SourceError(f"there is no format {format_!r}; there are {', '.join(sorted(FORMATS))}")
    try:
        options_of(format_).model_validate(sidecar.options)
    except ValidationError as error:
        raise SourceError(f"option {problems_of(error)}") from error


def _look_at_file(
    look: Look,
    file: Path,
    layout: layouts.FileLayout,
    nomenclature: Nomenclature,
    labels: LabelTable | None,
) -> None:
    of_member = f", of {layout.member} in the archive" if layout.member else ""
    look.seen.append(f"format: {look.format}{of_member}")
    if layout.member is not None:
        look.options.setdefault("member", layout.member)
    if layout.encoding != "utf-8" and "encoding" not in look.options:
        look.options["encoding"] = layout.encoding
        look.seen.append(f"encoding: {layout.encoding}, by its first bytes")
    if look.format == "h5ad":
        _look_at_h5ad(look, file)
    elif look.format == "geo_series":
        look.fields += geo_fields(file, layout.member, layout.encoding)
    elif look.format == "table":
        table = layouts.look_at_table(file, look.options)
        if table.decimal != "." and "decimal" not in look.options:
            look.options["decimal"] = table.decimal
            look.seen.append("numbers have a decimal comma")
        _look_at_axes(look, table, file.name, nomenclature.is_gene_like, labels)
    elif look.format == "parquet" and look.options.get("layout", "wide") == "wide":
        table = layouts.look_at_parquet(file, look.options.get("observations"))
        _look_at_axes(look, table, file.name, nomenclature.is_gene_like, labels)


def _look_at_h5ad(look: Look, file: Path) -> None:
    contents = describe_h5ad(file, unit=look.sidecar.unit or "counts")
    look.fields += contents.observation_fields
    look.matrices += contents.matrices
    held = ", ".join(f"{name} ({layout})" for name, layout in contents.matrices.items())
    look.seen.append(f"{contents.n_observations:,} × {contents.n_genes:,}; it holds {held}")
    look.seen.append(f"genes: {contents.genes_because}")
    if contents.follows_cellxgene:
        look.seen.append("it follows CELLxGENE's schema: group and labels are taken from there")


def _look_at_axes(
    look: Look,
    table: layouts.TableHead,
    what: str,
    is_gene: Callable[[str], bool],
    labels: LabelTable | None,
) -> None:
    """Determine which axis is genes, and what its columns that are not all numbers are."""
    frame, sidecar = labels.frame if labels else None, look.sidecar
    files = (what, labels.name if labels else "")
    if frame is not None:
        axes.refuse_swapped(table, frame, is_gene, files)
    declared = look.options.get("genes_in")
    declared = None if declared == "detect" else declared
    axis, reason = axes.axis_of_genes(table, declared, is_gene, frame, files)
    look.options["genes_in"] = axis
    look.seen.append(f"genes are its {axis}: {reason}")
    named = {*sidecar.labels.values(), sidecar.group, *look.options.get("ignore", ())}
    if axis == "columns":
        axes.refuse_gene_as_ids(table, is_gene, what)
        look.fields = list(table.columns[1:])
        look.genes = {name for name in look.fields if name not in named and is_gene(name)}
        fields, group = named_fields(
            [name for name in look.fields if name not in look.genes], sidecar.labels, sidecar.group
        )
        look.genes -= {*fields.values(), group}
        odd = {name: text for name, text in table.texts.items() if name in look.genes}
        axes.refuse_texts(odd, look.options, what, are_genes=True)
        look.texts = [name for name in table.texts if name not in look.genes]
    else:
        passed_over = axes.of_genes(table, named, frame)
        axes.refuse_long(table, passed_over, what)
        if "genes_in" not in sidecar.options:
            axes.refuse_labels(table, passed_over, what)
        known = {*named, *passed_over}
        odd = {name: text for name, text in table.texts.items() if name not in known}
        axes.refuse_texts(odd, look.options, what, are_genes=False)
        if passed_over:
            look.options["ignore"] = [*look.options.get("ignore", ()), *passed_over]
            look.seen.append(f"columns about the genes, passed over: {', '.join(passed_over)}")


def _join_metadata(look: Look, labels: LabelTable) -> None:
    """Find the column of the metadata that holds the observation ids."""
    if look.format not in _WITH_TABLES:
        raise SourceError(
            f"format {look.format} brings its own metadata: add the labels to the file itself "
            "(adata.obs), and leave the metadata file out"
        )
    table = labels.frame
    options = {name: value for name, value in look.options.items() if name != "metadata"}
    bare = replace(look, sources=look.sources[:1], options=options)
    bare.leave_out_texts()
    ids = bare.parsed().observations["observation_id"].to_list()
    joined = axes.id_column(table, ids)
    if joined is None:
        raise SourceError(
            f"{labels.name}: none of its columns {table.columns[:12]} holds observation ids "
            f"of {look.sources[0].title}, such as {ids[0]!r}; the first has "
            f"{listed(table[table.columns[0]].drop_nulls()[:3])}: give both files the same ids; or "
            "were the row names left out (pandas: index=False)?"
        )
    entry: dict[str, Any] = {"id": joined.column}
    if joined.spelling != "exact":
        entry["spelling"] = joined.spelling
    if labels.encoding != "utf-8":
        entry["encoding"] = labels.encoding
    if any((table[name] == "NA").any() for name in table.columns):
        entry["missing"] = ["NA"]
        look.seen.append("metadata: NA is read as a missing value, as R writes it")
    given = look.options.get("metadata") or [{}]
    look.options["metadata"] = [entry | dict(given[0]), *given[1:]]
    look.fields += [name for name in table.columns if name != joined.column]
    spelled = ", as R's make.names spells them" if joined.spelling != "exact" else ""
    look.seen.append(
        f"metadata: {joined.n_shared:,} of {len(ids):,} observations by its "
        f"{f'column {joined.column!r}' if joined.column else 'first column'}{spelled}"
    )
    if joined.n_shared == len(ids) and joined.others and "unmatched" not in look.options:
        look.options["unmatched"] = "quarantine"
        look.seen.append(
            f"metadata: {len(joined.others):,} of its rows have no expression, and are counted in "
            f"quarantine: {listed(joined.others)}"
        )


def _name_fields(look: Look) -> None:
    """Assign group and labels: as stated, or the fields with their names."""
    if look.format == "tenx_h5":
        look.seen.append("labels and groups: the format has none of its own")
        return
    labels, group = named_fields(look.fields, look.sidecar.labels, look.sidecar.group)
    if look.format == "h5ad" and not (labels or group):
        return  # the parser knows CELLxGENE's own
    if labels:
        look.options["labels"] = {str(label): name for label, name in labels.items()}
        look.seen.append("labels: " + ", ".join(f"{ours} = {its}" for ours, its in labels.items()))
    if group:
        look.options["group"] = group
        look.seen.append(f"group (no split may cut it): {group}")
    else:
        look.seen.append("group: none detected, so each observation is a group of its own")
    used = {*labels.values(), group}
    accounted = used | look.genes
    if left := [name for name in look.fields if name not in accounted]:
        look.seen.append(f"other fields: {', '.join(left[:12])}{' …' if len(left) > 12 else ''}")
    look.leave_out_texts(used)
