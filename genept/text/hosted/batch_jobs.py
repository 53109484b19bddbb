"""What is asked through the Batch API: half the price, and up to a day's wait.

Nobody waits here: a batch is sent, and collected by whoever asks again once the service has
finished it. It is recorded in the store, under the hashes of what it asks, before it is created:
after a kill at any moment the next run collects what was paid for. What is asked, and which answers
are valid, is decided by subclasses: `genept.text.hosted.text_batches`, and `chat_batches` of
`genept.language_models`.
"""

from __future__ import annotations

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from genept.storage import ShardCache
from genept.text.hosted.answers import packed_jobs
from genept.text.hosted.batch_api import ENDED, BatchApi, Endpoint, Job, PendingBatchesError
from genept.text.hosted.recorded_batches import WINDOW, batches_of, recorded_jobs
from genept.text.hosted.service import ROUNDS, OpenAIService, named, stated_usage
from genept.text.vector_cache import MILLION, Payment

if TYPE_CHECKING:
    from openai.types import Batch

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class BatchJobs(ABC, Generic[Item, Answer]):
    """The batches of one model.

    Parameters
    ----------
    service, cache
        The model's service, and the cache of its answers.
    run_id
        Of this run, for payments.
    keep
        Stores answers, by the addresses of what was asked, with their payment.
    """

    endpoint: ClassVar[Endpoint]
    pending: ClassVar[type[PendingBatchesError]]
    """Raised where what is wanted is in a batch under way."""

    def __init__(
        self,
        service: OpenAIService,
        cache: ShardCache[Any],
        run_id: str,
        keep: Callable[[Mapping[str, Answer], Payment], None],
    ) -> None:
        self.service, self.run_id, self._keep = service, run_id, keep
        self.store, self._cache = cache.store, cache
        self.prefix = batches_of(cache)
        self.api = BatchApi(service)
        self.jobs: list[Job] = []

    @property
    @abstractmethod
    def price(self) -> float:
        """Share of the full price that is paid."""

    @property
    def output_price(self) -> float:
        """US$ per million tokens that are written, at the full price."""
        return 0.0

    @abstractmethod
    def address(self, item: Item) -> str:
        """SHA-256 under which the answer is kept."""

    @abstractmethod
    def shown(self, item: Item) -> str:
        """Text by which a person recognises it."""

    @abstractmethod
    def requests(self, items: Sequence[Item]) -> list[dict[str, Any]]:
        """Bodies of their requests."""

    @abstractmethod
    def count(self, items: Sequence[Item]) -> tuple[int, int]:
        """Tokens of input, and the most that may be written."""

    @abstractmethod
    def read(self, body: dict[str, Any], job: Job, /) -> tuple[Answer | None, str, int]:
        """The answer of a body, what is wrong with it if there is none, and tokens written.

        Raises `refused` of the service if asking again is in vain.
        """

    @property
    def under_way(self) -> list[Job]:
        """The batches that are not collected yet."""
        return [job for job in self.jobs if not job.faults]

    @property
    def dollars_under_way(self) -> float:
        """What they may cost."""
        return sum(job.dollars for job in self.under_way)

    def collect(self) -> float:
        """Read the recorded batches, and store the answers of those that the service finished.

        Returns
        -------
        float
            Dollars that the recorded ones were expected to cost.

        Raises
        ------
        ValueError
            `refused` of the service: it refused a batch, or another model answered.
        """
        self.jobs = []
        recorded = [job for _, job in recorded_jobs(self.store, self.prefix)]
        # Those with faults last: a batch sent in their place may bring what they lack.
        for job in sorted(recorded, key=lambda job: bool(job.faults)):
            if all(map(self._cache.has, job.faults or job.addresses)):
                self._forget(job)  # a run was killed when it had kept everything
            elif job.faults:
                self.jobs.append(job)
            elif batch_id := job.batch_id or self.api.find(job.nonce):
                batch = self.api.retrieve(batch_id)
                if batch.status not in ENDED:
                    self.jobs.append(job)
                elif rest := self._finish(job, batch):
                    self.jobs.append(rest)
            else:
                self._forget(job)  # a run was killed before it sent the batch
        return sum(job.dollars for job in recorded if not job.faults)

    def packed(self, items: Sequence[Item]) -> list[list[Item]]:
        """Split into batches that the service accepts, in the order given."""
        sizes = (len(json.dumps(body)) for body in self.requests(items))
        return packed_jobs(zip(items, sizes, strict=True))

    def send(self, items: Sequence[Item]) -> None:
        """Put into batches; what has no valid answer of an earlier one, once more.

        Raises
        ------
        ValueError
            `failed` of the service: some were in `ROUNDS` batches and have no valid answer; the
            others are sent. They are forgotten here, so that the next run tries them again.
        """
        by_address = {self.address(item): item for item in items}
        earlier = [job for job in self.jobs if job.faults.keys() & by_address.keys()]
        faults = {address: why for job in earlier for address, why in job.faults.items()}
        tried = {address: job.round for job in earlier for address in job.faults}
        for number in range(1, ROUNDS + 1):
            if chosen := {a: it for a, it in by_address.items() if tried.get(a, 0) == number - 1}:
                self._begin(chosen, number)
        for job in earlier:
            self._forget(job)
            self.jobs.remove(job)
        if hopeless := [address for address in by_address if tried.get(address, 0) >= ROUNDS]:
            listed = named([(self.shown(by_address[a]), faults[a]) for a in hopeless])
            raise self.service.failed(
                f"{self.service.id}: {len(hopeless)} of {len(items)} {self.pending.what} were "
                f"answered badly in {ROUNDS} batches and are not kept: {listed}"
            )

    def dollars_of(self, items: Sequence[Item]) -> float:
        """What a batch of these may cost."""
        tokens, written = self.count(items)
        full = tokens * self.service.dollars_per_million_tokens + written * self.output_price
        return full * self.price / MILLION

    def _begin(self, chosen: Mapping[str, Item], number: int) -> None:
        """Create a batch that is recorded before it exists."""
        items = list(chosen.values())
        job = Job(
            nonce=secrets.token_hex(12),
            addresses=tuple(chosen),
            tokens=self.count(items)[0],
            round=number,
            dollars=self.dollars_of(items),
            until=datetime.now(UTC).replace(microsecond=0) + WINDOW,
        )
        etag = self.store.put_if_match(self._key(job), job.body(), None)
        bodies = dict(zip(chosen, self.requests(items), strict=True))
        file_id = self.api.upload(bodies, self.endpoint)
        batch_id = self.api.create(file_id, job.nonce, self.endpoint)
        created = job.model_copy(update={"batch_id": batch_id})
        self.store.put_if_match(self._key(job), created.body(), etag)
        self.jobs.append(created)

    def _finish(self, job: Job, batch: Batch) -> Job | None:
        """Store the valid answers of a batch that ended; what is left of it where there is none."""
        answers, failures, refusal = self.api.read(batch)
        good: dict[str, Answer] = {}
        faults = dict.fromkeys(job.addresses, "was not answered")
        usage: int | None = 0
        n_answers = n_written = 0
        for address, body in answers.items():
            if address not in faults:
                continue
            tokens = stated_usage(body, "prompt_tokens")
            usage = None if usage is None or tokens is None else usage + tokens
            n_answers += 1
            try:
                answer, faults[address], written = self.read(body, job)
            except self.service.refused as error:
                refusal, answer = error, None
                written = stated_usage(body, "completion_tokens") or 0
            n_written += written
            if answer is not None:
                good[address] = answer
                del faults[address]
        faults |= {address: why for address, why in failures.items() if address in faults}
        if n_answers:
            payment = Payment.made(
                self.service,
                usage,
                job.tokens,
                self.price,
                output_tokens=n_written,
                output_price=self.output_price * self.price,
                receipt_id=f"batch-{batch.id}",  # collected twice after a kill, it is one payment
                run_id=self.run_id,
                mode="batch",
                n_texts=len(good),
                n_requests=n_answers,
                n_unanswered=0,
            )
            self._keep(good, payment)
        if refusal or not faults:
            self._forget(job)
            if refusal:
                raise refusal
            return None
        rest = job.model_copy(update={"faults": faults})
        _, etag = self.store.get_with_etag(self._key(job))
        self.store.put_if_match(self._key(job), rest.body(), etag)
        return rest

    def _key(self, job: Job) -> str:
        return f"{self.prefix}{job.nonce}.json"

    def _forget(self, job: Job) -> None:
        self.store.delete([self._key(job)])
