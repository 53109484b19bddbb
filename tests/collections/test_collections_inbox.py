"""The inbox: a drop becomes a collection or lies in quarantine whole, and nothing is ever half."""

from __future__ import annotations

import pytest
from own_files import REFERENCE, counts, write_counts, write_labels

import genept.collections.inbox
from genept.collections.added import added_collections
from genept.collections.inbox import Accepted, Refused, drops, take_in
from genept.store.lake import Lake

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
        for one, data in files.items():
            known = lake.store.head(f"{store_prefix}/inbox/{one}")
            lake.store.put_if_match(
                f"{store_prefix}/inbox/{one}", data, known.etag if known else None
            )

    return put


@pytest.fixture
def taken(lake: Lake, store_prefix):
    """Takes the only drop in."""

    def take(**more):
        (drop,), _ = drops(lake.store, store_prefix)
        return take_in(lake, store_prefix, drop, lambda: REFERENCE, "reference-1", **more)

    return take


def keys(lake: Lake, prefix: str, folder: str = "") -> set[str]:
    return {info.key.removeprefix(f"{prefix}/") for info in lake.store.list(f"{prefix}/{folder}")}


def test_a_good_drop_is_ingested_and_declared(lake, store_prefix, inbox, taken):
    inbox()
    accepted = taken()
    assert isinstance(accepted, Accepted)
    (declared,) = added_collections(lake.store, store_prefix)
    assert declared == accepted.collection
    assert declared.collection.licence == "CC0-1.0"
    assert declared.collection.redistributable
    observations = lake.read([one for one in accepted.parts if one.table == "observations"])
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
        ({"sidecar": SAID + 'unit = "log2"\n'}, "is said to hold log2, but its values look like"),
        ({"sidecar": SAID + 'colour = "red"\n'}, r"mine\.csv\.toml: colour: Extra inputs"),
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
    assert not added_collections(lake.store, store_prefix)
    assert "inbox/mine.csv" not in keys(lake, store_prefix)


def test_half_a_drop_waits(lake, store_prefix, inbox):
    inbox()
    lake.store.delete([f"{store_prefix}/inbox/mine.csv.toml"])
    assert drops(lake.store, store_prefix) == ([], ["labels.csv", "mine.csv"])


@pytest.mark.parametrize("killed_at", ["ingest", "store_files", "declare"])
def test_a_killed_ingest_shows_nowhere_and_goes_on(
    lake, store_prefix, inbox, taken, monkeypatch, killed_at
):
    def killed(*_):
        raise KeyboardInterrupt

    inbox()
    with monkeypatch.context() as patched:
        patched.setattr(genept.collections.inbox, killed_at, killed)
        with pytest.raises(KeyboardInterrupt):
            taken()
    assert not added_collections(lake.store, store_prefix)
    assert not keys(lake, store_prefix, "lake/tables")
    assert "inbox/mine.csv.toml" in keys(lake, store_prefix)
    assert isinstance(taken(), Accepted)
    assert len(added_collections(lake.store, store_prefix)) == 1


def test_an_id_is_not_given_twice(lake, store_prefix, inbox, taken):
    inbox()
    first = taken()
    inbox(sidecar=SAID + 'title = "another"\n')
    refused = taken()
    assert isinstance(refused, Refused)
    assert "'mine' was added already, and it is another one" in refused.reason
    assert added_collections(lake.store, store_prefix) == [first.collection]
