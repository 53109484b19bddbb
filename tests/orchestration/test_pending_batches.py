"""A batch that takes a day: no run waits for it, and the sensor goes on when it is there.

Of texts to embed, and of statements that a language model is to write.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import dagster as dg
import pytest
from loopback_chats import LoopbackChats, question
from loopback_openai import serving
from prefect_server import Served, prefect_server
from small_installation import GENES, RecordingModel, SmallInstallation, SmallPlatform

from assets import PENDING
from genept.common.settings import Settings
from genept.datasources.catalogue import Catalogue
from genept.storage.object_store import ObjectStore
from genept.text.embedders import Space
from genept.text.hosted.ledger import all_payments
from orchestration.commands import pending_of
from orchestration.remote_embedding import PrefectFlows

pytestmark = pytest.mark.timeout(900)

HOUR = 3600.0
MAX_RUNTIME = 7200
"""Seconds after which `infra/dagster.yaml` has a run stopped."""

DECLARED = """
[embedders.loopback]
model = "loopback-48"
dimensions = 48
max_tokens = 500
dollars_per_million_tokens = 1
"""
HOSTED = Space("loopback", "ncbi")

WRITER = """
[models.loopback-writer]
model = "loopback-chat"
context_tokens = 4000
dollars_per_million_tokens = 1
dollars_per_million_output_tokens = 2
grammars = true
"""
SPEAKING = ("GENE3", "GENE7", "GENE9")
"""Genes whose summaries speak of something specific."""


def restated(body: dict[str, Any]) -> str:
    """The first line of the evidence again."""
    text = question(body)
    return text[text.index("[1] ") :].splitlines()[0] + "\n"


class HostedPlatform(SmallPlatform):
    """The small installation with a space of a hosted embedder."""

    def __init__(self, settings: Settings, catalogue: Catalogue, model: RecordingModel) -> None:
        super().__init__(settings, catalogue, model)
        self.remote = PrefectFlows(settings)

    @property
    def declared_spaces(self) -> dict[Space, bool]:
        return {**super().declared_spaces, HOSTED: True}


class HostedInstallation(SmallInstallation):
    """The same, as a run opens it."""

    def open(self, options: Mapping[str, Any] = MappingProxyType({})) -> SmallPlatform:
        return HostedPlatform(self.settings.with_options(options), self.catalogue, self.model)


@dataclass
class Day:
    """A service whose clock is moved, and an installation that pays for batches of it."""

    service: LoopbackChats
    installation: HostedInstallation
    began: float = field(default_factory=time.time)
    hours: int = 0

    def pass_hour(self) -> None:
        self.hours += 1
        self.service.clock = lambda: self.began + self.hours * HOUR

    def sensor(self) -> dg.SensorExecutionData:
        definitions = self.installation.defs
        context = dg.build_sensor_context(
            instance=self.installation.instance,
            repository_def=definitions.get_repository_def(),
            resources={"platform": self.installation.open()},
        )
        return definitions.resolve_sensor_def("batches").evaluate_tick(context)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with prefect_server(tmp_path_factory.mktemp("prefect-server")) as served:
        yield served


@pytest.fixture
def day(
    tmp_path_factory: pytest.TempPathFactory,
    object_store: ObjectStore,
    server: Served,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Day]:
    service = LoopbackChats(restated)
    service.batch_seconds = 23.5 * HOUR
    folder, access = tmp_path_factory.mktemp("installation"), object_store.access
    (folder / "embedders.toml").write_text(DECLARED)
    (folder / "models.toml").write_text(WRITER)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    with serving(service) as url, dg.instance_for_test() as instance:
        installation = HostedInstallation(
            folder,
            instance,
            s3_endpoint=access.endpoint_url,
            s3_access_key=access.access_key,
            s3_secret_key=access.secret_key,
            s3_region=access.region,
            bucket=access.bucket,
            openai_base_url=url,
            openai_api_key="sk-test",
            embedders=folder / "embedders.toml",
            language_models=folder / "models.toml",
            embedding_batch_api=True,
        )
        with server.worker(installation.settings.environment()):
            day = Day(service, installation)
            service.clock = lambda: day.began
            yield day


@pytest.mark.slow
def test_a_batch_of_a_day_holds_no_run_and_the_sensor_goes_on_when_it_is_there(
    day: Day, capsys: pytest.CaptureFixture[str]
) -> None:
    installation, service = day.installation, day.service
    assert "no table waits" in day.sensor().skip_message
    first = installation.release()
    assert first.success
    assert not first.get_step_failure_events()
    materialised = {e.asset_key.to_user_string() for e in first.get_asset_materialization_events()}
    skipped = {event.step_key for event in first.all_events if event.is_step_skipped}
    assert {"genes", "gene_descriptions"} <= materialised
    assert materialised.isdisjoint({"gene_embeddings", "published_release"})
    assert {"embedding_ledger", "published_release", "run_metrics"} <= skipped
    assert installation.releases.current_id() is None
    (said,) = pending_of(installation.instance, first.run_id)
    assert "space loopback/ncbi is pending: loopback: 100 texts are in 1 batches" in said
    assert "is pending: loopback: 100 texts" in " ".join(capsys.readouterr().err.split())
    (record,) = installation.instance.fetch_observations(
        dg.AssetKey("gene_embeddings"), limit=1
    ).records
    assert record.asset_observation.metadata[PENDING].value == HOSTED.id

    for _ in range(23):
        day.pass_hour()
        waiting = day.sensor()
        assert not waiting.run_requests
        assert "1 batches are under way, by 20" in waiting.skip_message
    assert len(service.batches) == 1
    day.pass_hour()
    (request,) = day.sensor().run_requests
    assert (request.job_name, request.run_key) == ("release", first.run_id)

    second = installation.release()
    assert second.success
    assert installation.releases.current_id() is not None
    assert pending_of(installation.instance, second.run_id) == []
    assert len(service.charged) == len(GENES)
    assert set(service.charged.values()) == {1}
    (payment,) = all_payments(installation.store, installation.product)
    assert (payment.mode, payment.n_texts) == ("batch", len(GENES))
    assert "no table waits" in day.sensor().skip_message
    runs = installation.instance.get_run_records()
    assert {record.dagster_run.status for record in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert all(record.end_time - record.start_time < MAX_RUNTIME for record in runs)


@pytest.mark.soak
def test_statements_of_a_batch_of_a_day_are_written_once_and_before_the_texts(day: Day) -> None:
    installation, service = day.installation, day.service
    installation.settings = installation.settings.model_copy(
        update={"writers": ("loopback-writer",)}
    )
    installation.publish_summaries(
        **{gene: f"{gene} regulates apoptosis in neurons." for gene in SPEAKING}
    )
    first = installation.release()
    assert first.success
    skipped = {event.step_key for event in first.all_events if event.is_step_skipped}
    assert {"descriptions", "gene_embeddings", "published_release"} <= skipped
    (said,) = pending_of(installation.instance, first.run_id)
    assert "writer loopback-writer is pending: loopback-writer: 3 chats are in 1 batches" in said
    day.pass_hour()
    assert "1 batches are under way, by 20" in day.sensor().skip_message
    assert all_payments(installation.store, installation.product) == []
    for _ in range(23):
        day.pass_hour()
    (request,) = day.sensor().run_requests
    assert (request.job_name, request.run_key) == ("release", first.run_id)

    second = installation.release()
    assert second.success
    materialised = {e.asset_key.to_user_string() for e in second.get_asset_materialization_events()}
    assert {"written_statements", "gene_descriptions"} <= materialised
    statements = installation.open().statements.rows("loopback-writer")
    assert sorted(statements["symbol"]) == sorted(SPEAKING)
    assert set(statements["fate"]) == {"kept"}
    (payment,) = all_payments(installation.store, installation.product)
    assert (payment.embedder, payment.mode, payment.n_texts) == ("loopback-writer", "batch", 3)
    written = sum(len(restated(body).split()) for body in service.bodies)
    read = sum(len(m["content"].split()) for body in service.bodies for m in body["messages"])
    assert (payment.tokens, payment.output_tokens) == (read, written)
    assert payment.dollars == pytest.approx(0.5 * (read + 2 * written) / 1e6)
    assert set(service.asked.values()) == {1}
    (now,) = pending_of(installation.instance, second.run_id)
    assert "space loopback/ncbi is pending" in now
    assert "1 batches are under way" in day.sensor().skip_message
    runs = installation.instance.get_run_records()
    assert all(record.end_time - record.start_time < MAX_RUNTIME for record in runs)
