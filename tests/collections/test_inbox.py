"""The inbox: a drop becomes a collection or lies in quarantine whole, and nothing is ever half."""

from __future__ import annotations

import bombs
import mutations
import pytest
from own_files import REFERENCE, counts, write_counts, write_labels

import genept.collections.inbox
from genept.collections.inbox import Accepted, Refused, Replaced, take_in
from genept.collections.sidecar import drops
from genept.collections.user_collections import added_collections
from genept.datasources.readers.sandbox import Allowance
from genept.storage.lake import Lake

SAID = 'id = "mine"\nmetadata = "labels.csv"\nlicence = "CC0-1.0"\nredistributable = true\n'


@pytest.fixture
def inbox(lake: Lake, store_prefix, tmp_path):
    """Puts a newcomer's files into an inbox of the test's own."""

    def put(name="mine.csv", sidecar=SAID, body=None):
        write_labels(tmp_path / "labels.csv", write_counts(tmp_path / name, counts()))
        files = {
            name: (tmp_path / name).read_bytes() if body is None else body,
            "labels.csv": (tmp_path / "labels.csv").read_bytes(),
            f"{name}.toml": sidecar.encode(),
        }
        for key, data in files.items():
            known = lake.store.head(f"{store_prefix}/inbox/{key}")
            lake.store.put_if_match(
                f"{store_prefix}/inbox/{key}", data, known.etag if known else None
            )

    return put


@pytest.fixture
def taken(lake: Lake, store_prefix):
    """Takes the only drop in."""

    def take(*, name="mine.csv", **more):
        listed = {drop.name: drop for drop in drops(lake.store, store_prefix)[0]}
        # Read in this process, for time; tests of the limits say otherwise.
        more = {"allowance": None} | more
        return take_in(lake, store_prefix, listed[name], lambda: REFERENCE, "reference-1", **more)

    return take


def keys(lake: Lake, prefix: str, folder: str = "") -> set[str]:
    return {info.key.removeprefix(f"{prefix}/") for info in lake.store.list(f"{prefix}/{folder}")}


def test_a_good_drop_is_ingested_and_declared(lake, store_prefix, inbox, taken):
    inbox()
    accepted = taken()
    assert isinstance(accepted, Accepted)
    (declared,) = added_collections(lake.store, store_prefix).all()
    assert declared == accepted.collection
    assert declared.collection.licence == "CC0-1.0"
    assert declared.collection.redistributable
    observations = lake.read([part for part in accepted.parts if part.table == "observations"])
    assert observations.height == 40
    assert observations["group_id"].n_unique() == 4
    assert not keys(lake, store_prefix, "inbox/")


def test_the_same_drop_again_makes_nothing(lake, store_prefix, inbox, taken):
    inbox()
    first = taken()
    before = keys(lake, store_prefix)
    inbox()
    again = taken()
    assert isinstance(again, Accepted)
    assert again.collection == first.collection
    assert again.parts == first.parts
    assert keys(lake, store_prefix) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"body": b"<html>not found</html>"}, "is a web page"),
        ({"body": b"id,GEN1,GEN2\na,1\n"}, "has 2 fields, expected 3|no option|cannot tell"),
        ({"sidecar": SAID + 'unit = "log2"\n'}, "is declared as log2, but its values look like"),
        ({"sidecar": SAID + 'colour = "red"\n'}, r"mine\.csv\.toml: colour: there is no such"),
        ({"sidecar": 'id = "mine'}, r"mine\.csv\.toml is no TOML"),
        ({"sidecar": SAID.replace("mine", "prostate")}, "has a collection 'prostate' already"),
        ({"sidecar": SAID.replace("labels", "nowhere")}, "'nowhere.csv', which does not lie"),
        ({"sidecar": SAID + 'group = "nix"\n'}, "no field 'nix'"),
    ],
    ids=["html", "ragged", "unit", "unknown", "toml", "taken", "metadata", "group"],
)
def test_a_bad_drop_is_quarantined_whole_with_a_report(
    lake, store_prefix, inbox, taken, change, says
):
    inbox(**change)
    refused = taken(taken=["prostate"])
    assert isinstance(refused, Refused)
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(refused.reason)
    aside = {key.rpartition("/")[2] for key in keys(lake, store_prefix, "quarantine/mine.csv/")}
    assert {"mine.csv", "mine.csv.toml", "report.md"} <= aside
    report = lake.store.get(f"{refused.folder}/report.md").decode()
    assert refused.reason in report
    assert "genept collections validate" in report
    assert not added_collections(lake.store, store_prefix).all()
    assert "inbox/mine.csv" not in keys(lake, store_prefix)


def test_half_a_drop_waits(lake, store_prefix, inbox):
    inbox()
    lake.store.delete([f"{store_prefix}/inbox/mine.csv.toml"])
    assert drops(lake.store, store_prefix) == ([], ["labels.csv", "mine.csv"])


@pytest.mark.parametrize("killed_at", ["ingest", "store_files", "declare_collection"])
def test_a_killed_ingest_shows_nowhere_and_goes_on(
    lake, store_prefix, inbox, taken, monkeypatch, killed_at
):
    def killed(*_, **__):
        raise KeyboardInterrupt

    inbox()
    with monkeypatch.context() as patched:
        patched.setattr(genept.collections.inbox, killed_at, killed)
        with pytest.raises(KeyboardInterrupt):
            taken()
    assert not added_collections(lake.store, store_prefix).all()
    assert not keys(lake, store_prefix, "lake/tables")
    assert "inbox/mine.csv.toml" in keys(lake, store_prefix)
    assert isinstance(taken(), Accepted)
    assert len(added_collections(lake.store, store_prefix).all()) == 1


def test_an_id_is_not_given_twice(lake, store_prefix, inbox, taken):
    inbox()
    first = taken()
    inbox(sidecar=SAID + 'title = "another"\n')
    refused = taken()
    assert isinstance(refused, Refused)
    assert "'mine' was added already, and it is another one" in refused.reason
    assert added_collections(lake.store, store_prefix).all() == [first.collection]


# --- what strangers drop -----------------------------------------------------


def upload(lake, prefix, **files):
    for name, data in files.items():
        lake.store.put_if_absent(f"{prefix}/inbox/{name}", data)


def replace(lake, prefix, name, data):
    known = lake.store.head(f"{prefix}/inbox/{name}")
    lake.store.put_if_match(f"{prefix}/inbox/{name}", data, known.etag if known else None)


HOSTILE = {
    "brackets": b"a = " + b"[" * 20_000,
    "inline": b"a = " + b"{b=" * 20_000,
    "digits": b"a = " + b"9" * 20_000,
    "large": b"# " + b"x" * 100_000,
    "binary": b"\x80\x04\x95\xff",
    "empty": b"",
    "odd id": b'id = "../../current"',
    "no text": b"id = 3\nmetadata = 4\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_sidecar_hides_no_other_drop_and_is_quarantined(
    lake, store_prefix, inbox, taken, name
):
    inbox()
    bad = {"bad.csv": b"nothing", "bad.csv.toml": HOSTILE[name]}
    upload(lake, store_prefix, **bad)
    assert isinstance(taken(), Accepted)
    refused = taken(name="bad.csv")
    assert isinstance(refused, Refused)
    assert lake.store.exists(f"{refused.folder}/report.md")
    assert lake.store.get(f"{refused.folder}/bad.csv") == b"nothing"
    assert not keys(lake, store_prefix, "inbox/")


@pytest.mark.parametrize(
    "metadata",
    ["..", ".", "", "/", "../current.json", "bad.csv", "bad.csv.toml", "no such", "a\\u0000b"],
)
def test_a_table_that_cannot_be_is_a_reason_for_quarantine(lake, store_prefix, taken, metadata):
    sidecar = f'id = "bad"\nmetadata = "{metadata}"\n'.encode()
    upload(lake, store_prefix, **{"bad.csv": b"id,GEN1\na,1\n", "bad.csv.toml": sidecar})
    refused = taken(name="bad.csv")
    assert isinstance(refused, Refused)
    assert "names the metadata" in refused.reason
    assert not keys(lake, store_prefix, "inbox/")


@pytest.mark.parametrize("table", ["mine.csv", "mine.csv.toml"])
def test_a_sidecar_cannot_have_another_users_drop_deleted(lake, store_prefix, inbox, taken, table):
    inbox()
    before = {name: lake.store.get(f"{store_prefix}/{name}") for name in keys(lake, store_prefix)}
    sidecar = f'id = "bad"\nmetadata = "{table}"\n'.encode()
    upload(lake, store_prefix, **{"bad.csv": b"id,GEN1\na,1\n", "bad.csv.toml": sidecar})
    refused = taken(name="bad.csv")
    assert isinstance(refused, Refused)
    assert "sidecar of its own" in refused.reason
    for name, data in before.items():
        assert lake.store.get(f"{store_prefix}/{name}") == data
    assert isinstance(taken(), Accepted)


def test_a_table_that_two_drops_name_stays_until_the_second_is_taken(
    lake, store_prefix, inbox, taken
):
    inbox()
    inbox(name="other.csv", sidecar=SAID.replace("mine", "other"))
    assert isinstance(taken(), Accepted)
    assert "inbox/labels.csv" in keys(lake, store_prefix)
    assert isinstance(taken(name="other.csv"), Accepted)
    assert not keys(lake, store_prefix, "inbox/")


def test_a_sidecar_of_a_sidecar_is_no_drop(lake, store_prefix, inbox, taken):
    inbox()
    upload(lake, store_prefix, **{"mine.csv.toml.toml": b'id = "bad"'})
    complete, waiting = drops(lake.store, store_prefix)
    assert [drop.name for drop in complete] == ["mine.csv"]
    assert waiting == ["mine.csv.toml.toml"]
    assert isinstance(taken(), Accepted)


@pytest.mark.parametrize(
    "name", ["Größe (1) + #2.csv", "=cmd.csv", "<svg onload=x>.csv", "-rf.csv", "a b\u00a0c.csv"]
)
def test_an_odd_name_is_taken_in_or_refused_but_never_stays(lake, store_prefix, inbox, taken, name):
    try:
        inbox(name=name, sidecar=SAID.replace('"mine"', '"odd"'))
    except ValueError:
        pytest.skip("the store takes no such key")
    complete, _ = drops(lake.store, store_prefix)
    if [drop.name for drop in complete] == [name]:
        assert isinstance(taken(name=name), Accepted | Refused)
        assert not keys(lake, store_prefix, "inbox/")
    else:
        assert not complete


def test_files_in_folders_and_with_endless_names_wait(lake, store_prefix):
    long = "x" * 210 + ".csv"
    upload(
        lake,
        store_prefix,
        **{"in/mine.csv": b"x", "in/mine.csv.toml": b"", long: b"x", f"{long}.toml": b""},
    )
    complete, waiting = drops(lake.store, store_prefix)
    assert not complete
    assert len(waiting) == 4


def test_an_empty_file_is_quarantined(lake, store_prefix, inbox, taken):
    inbox(body=b"")
    refused = taken()
    assert isinstance(refused, Refused)
    assert "is empty" in refused.reason


def test_a_truncated_parquet_is_quarantined_and_the_corrected_one_is_taken(
    lake, store_prefix, inbox, taken
):
    whole = mutations.parquet()
    inbox(name="mine.parquet", sidecar='id = "mine"\n', body=whole[: len(whole) // 2])
    refused = taken(name="mine.parquet")
    assert isinstance(refused, Refused)
    assert "mine.parquet: is parquet that was cut short" in refused.reason
    inbox(name="mine.parquet", sidecar='id = "mine"\n', body=whole)
    assert isinstance(taken(name="mine.parquet"), Accepted)


@pytest.mark.parametrize("good", [True, False])
def test_what_is_replaced_during_ingest_is_neither_deleted_nor_declared_unread(
    lake, store_prefix, inbox, taken, monkeypatch, good
):
    inbox(body=None if good else b"no table")
    corrected = lake.store.get(f"{store_prefix}/inbox/mine.csv") if good else None
    write = genept.collections.inbox.try_out

    def corrected_meanwhile(*arguments, **more):
        inbox(name="mine.csv", sidecar=SAID + 'title = "corrected"\n')
        return write(*arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(genept.collections.inbox, "try_out", corrected_meanwhile)
        assert isinstance(taken(), Replaced)
    assert not added_collections(lake.store, store_prefix).all()
    assert not keys(lake, store_prefix, "quarantine/")
    accepted = taken()
    assert isinstance(accepted, Accepted)
    assert accepted.collection.collection.title == "corrected"
    assert corrected is None or not keys(lake, store_prefix, "inbox/")


def test_what_is_replaced_at_the_last_moment_stays(lake, store_prefix, inbox, taken, monkeypatch):
    inbox()
    declare = genept.collections.inbox.declare_collection

    def declared(*arguments):
        replace(lake, store_prefix, "mine.csv", b"corrected")
        return declare(*arguments)

    monkeypatch.setattr(genept.collections.inbox, "declare_collection", declared)
    assert isinstance(taken(), Accepted)
    assert lake.store.get(f"{store_prefix}/inbox/mine.csv") == b"corrected"
    assert "inbox/mine.csv.toml" in keys(lake, store_prefix), "so that it is asked for again"


def test_under_limits_the_same_parts_are_made_as_without(lake, store_prefix, inbox, taken):
    inbox()
    limited = taken(allowance=Allowance())
    assert isinstance(limited, Accepted)
    other = Lake(lake.store, f"{store_prefix}-other", lake.cache)
    inbox()
    (drop,), _ = drops(lake.store, store_prefix)
    plain = take_in(
        other, f"{store_prefix}-other", drop, lambda: REFERENCE, "reference-1", allowance=None
    )
    made = {part.table: part.sha256 for part in limited.parts}
    assert made == {part.table: part.sha256 for part in plain.parts}


def test_a_drop_that_fills_memory_is_quarantined_and_the_next_is_taken(
    lake, store_prefix, inbox, taken
):
    inbox(name="bomb.h5ad", sidecar='id = "bomb"\n', body=bombs.stacked_deflate())
    refused = taken(name="bomb.h5ad", allowance=Allowance())
    assert isinstance(refused, Refused)
    assert "bomb.h5ad: /obs/donor is compressed 2 times over" in refused.reason
    inbox()
    assert isinstance(taken(), Accepted)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: [*lines[:-1], lines[-1].replace("cell-39", "cell-x")], "unmatched"),
        (lambda lines: [lines[0], *(line.replace(",", ",.", 1) for line in lines[1:])], "unit"),
        (lambda lines: [lines[0], lines[1].replace(",", ",x", 1), *lines[2:]], "non_numeric"),
    ],
)
def test_a_refusal_shows_the_line_of_the_sidecar_and_nothing_to_type(
    inbox, taken, tmp_path, change, says
):
    write_counts(tmp_path / "other.csv", counts())
    body = "\n".join(change((tmp_path / "other.csv").read_text().splitlines())).encode()
    inbox(body=body)
    refused = taken()
    assert isinstance(refused, Refused)
    assert refused.reason.startswith("mine.csv: ")
    setting = 'unit = "' if says == "unit" else f"options.{says} = 'quarantine'"
    assert setting in refused.reason
    assert "--" not in refused.reason
