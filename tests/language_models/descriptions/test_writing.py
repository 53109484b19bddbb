"""Writing: each gene is asked for once, as many as fit into the time, and the rest another time."""

import polars as pl
import pytest
from loopback_chats import question

from genept.common import SourceError
from genept.language_models.descriptions import (
    GeneEvidence,
    StatementTables,
    prompt_for,
    write_statements,
)
from genept.schema.tables import STORED
from genept.storage import Lake
from genept.text.hosted.ledger import all_payments

MADE = (("gene-statements@1",), {"kept": 20})
GENES = [
    GeneEvidence(f"ENSG{n:02}", f"G{n}", "", (f"It acts in process number {n}.",), ("summary@r1",))
    for n in range(20)
]


def restate(body):
    """The first line of the evidence again."""
    text = question(body)
    return text[text.index("[1] ") :].splitlines()[0] + "\n"


@pytest.fixture
def writer(service, hosted, new_cache):
    service.write = restate
    model = hosted()
    return model, new_cache(model), prompt_for(model.declared)


def test_every_gene_is_asked_for_once(service, writer):
    rows = write_statements(*writer, GENES)
    assert rows.schema == pl.DataFrame(STORED["written_statements"].schema().empty_table()).schema
    assert rows["fate"].to_list() == ["kept"] * 20
    assert rows["statement"][3] == "It acts in process number 3."
    again = write_statements(*writer, GENES)
    assert again.equals(rows)
    assert len(service.bodies) == 20


def test_every_token_and_dollar_is_in_the_ledger(service, writer, object_store, store_prefix):
    write_statements(*writer, GENES)
    payments = all_payments(object_store, store_prefix)
    charged = [service.completion(body)["usage"] for body in service.bodies]
    assert sum(each.n_texts for each in payments) == len(charged) == 20
    assert sum(each.tokens for each in payments) == sum(u["prompt_tokens"] for u in charged)
    output = sum(each["completion_tokens"] for each in charged)
    assert sum(each.output_tokens for each in payments) == output
    cost = sum(each["prompt_tokens"] * 0.001 for each in charged) + output * 0.002
    assert sum(each.dollars for each in payments) == pytest.approx(cost)


def test_what_does_not_fit_into_the_time_is_written_another_time(service, writer):
    passed = iter([0.0, 0.0, 30.0, 90.0])
    rows = write_statements(*writer, GENES, seconds=60, clock=lambda: next(passed))
    assert rows["ensembl_gene_id"].n_unique() == len(service.bodies) == 16
    assert write_statements(*writer, GENES).height == 20
    assert len(service.bodies) == 20


def test_a_changed_line_is_asked_for_again(service, writer):
    write_statements(*writer, GENES)
    changed = [*GENES[:-1], GeneEvidence("ENSG19", "G19", "", ("It acts elsewhere now.",), ("s",))]
    rows = write_statements(*writer, changed)
    assert rows["statement"][-1] == "It acts elsewhere now."
    assert len(service.bodies) == 21


def test_a_model_without_grammars_is_asked_for_json(hosted):
    assert prompt_for(hosted(grammars=False).declared).id == "gene-statements"


def test_the_newest_table_is_what_descriptions_use(writer, object_store, store_prefix):
    tables = StatementTables(lambda: object_store, store_prefix)
    assert "genept genes write --model loopback" in tables.missing("loopback")
    with pytest.raises(SourceError, match="has nothing of loopback"):
        tables.read("loopback")
    rows = write_statements(*writer, GENES)
    first = tables.put("loopback", *MADE, rows.head(5))
    assert first.counts == {"kept": 20}
    assert tables.put("loopback", *MADE, rows.head(5)) == first
    second = tables.put("loopback", *MADE, rows)
    assert tables.latest("loopback") == second != first
    assert tables.missing("loopback") is None
    assert tables.read("loopback").columns == ["ensembl_gene_id", "item"]
    assert tables.read("loopback").height == 20
    tables.put("loopback", *MADE, rows.head(5))
    assert tables.sha256("loopback") == first.sha256
    assert tables.writers == ["loopback"]


def test_only_kept_statements_are_used(object_store, store_prefix, writer):
    rows = write_statements(*writer, GENES).with_columns(
        fate=pl.when(pl.col("symbol") == "G3").then(pl.lit("unsupported")).otherwise("fate")
    )
    tables = StatementTables(lambda: object_store, store_prefix)
    tables.put("loopback", *MADE, rows)
    assert "ENSG03" not in tables.read("loopback")["ensembl_gene_id"].to_list()


def test_what_is_released_says_what_was_not_kept_and_why(
    tmp_path, object_store, store_prefix, writer
):
    tables = StatementTables(lambda: object_store, store_prefix)
    tables.put("loopback", *MADE, write_statements(*writer, GENES))
    lake = Lake(object_store, store_prefix, tmp_path)
    part = tables.release(lake, "loopback")
    assert (part.partition, part.rows) == (("loopback",), 20)
    assert tables.release(lake, "loopback") == part
