"""The real local model: answers in form, the same every time, and a server that leaves nothing."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from genept.common import Settings
from genept.language_models.answer_cache import AnswerCache
from genept.language_models.answer_formats import AnswerFormat
from genept.language_models.chats import Chat, RefusedChatError, SamplingOptions
from genept.language_models.completion import complete
from genept.language_models.declared_models import load_language_models
from genept.language_models.games import SCRIPTED, DonorGame, LanguageAgent, imitate, play
from genept.language_models.local_server import unpacked_weights
from genept.language_models.model_registry import LanguageModels
from genept.text.hosted.ledger import all_payments
from genept.text.local.language_model import missing_extra

ID = "smollm2-135m"
pytestmark = [
    pytest.mark.index,
    pytest.mark.skipif(missing_extra() is not None, reason=f"{ID} {missing_extra()}"),
]
SCHEMA = {
    "type": "object",
    "properties": {
        "gene": {"type": "string", "maxLength": 12},
        "is_known": {"type": "boolean"},
        "score": {"type": "integer", "minimum": 0, "maximum": 10},
    },
    "required": ["gene", "is_known", "score"],
    "additionalProperties": False,
}
BRIEF = SamplingOptions(max_output_tokens=80)
IN_FORM = Chat("What does gene TP53 do?", "", BRIEF, AnswerFormat.of_schema(SCHEMA))

ONE_WORD = Chat("Say yes.", "", SamplingOptions(max_output_tokens=1))


@pytest.fixture(scope="module")
def models(tmp_path_factory, real_archives):
    # One thread: two wait for each other where other tests run beside them.
    settings = Settings(state_dir=tmp_path_factory.mktemp("local-model"), threads=1)
    return LanguageModels(settings, real_archives.open_member)


@pytest.fixture(scope="module")
def service(models):
    with models.open(ID) as service:
        yield service


def test_an_answer_has_its_schema_and_costs_nothing(service, object_store, store_prefix):
    cache = AnswerCache(object_store, store_prefix, service)
    (outcome,) = complete(service, cache, [IN_FORM])
    assert set(outcome.parsed) == {"gene", "is_known", "score"}
    assert 0 <= outcome.parsed["score"] <= 10
    assert outcome.faults == ()
    assert outcome.reply.output_tokens > 5
    assert all_payments(object_store, store_prefix) == []
    again = AnswerCache(object_store, store_prefix, service)
    assert complete(service, again, [IN_FORM]) == [outcome]


def test_an_answer_follows_its_grammar(service):
    grammar = AnswerFormat(grammar='root ::= "give " ("0" | [1-9] [0-9]?) "."')
    reply = service.ask(Chat("How much do you give?", "", BRIEF, grammar)).reply
    assert grammar.fault(reply.text) is None


def test_answers_are_the_same_for_one_seed_and_others_for_another(service):
    def text(**sampling):
        chat = Chat("What is a gene?", "", SamplingOptions(max_output_tokens=10, **sampling))
        return service.ask(chat).reply.text

    greedy = text()
    drawn = text(temperature=1.0, seed=7)
    assert text(temperature=1.0, seed=8) != drawn
    assert text(temperature=1.0, seed=7) == drawn
    assert text() == greedy


def test_it_plays_a_move_of_the_donor_game_within_its_rules(service, object_store, store_prefix):
    game = DonorGame(n_agents=2, n_generations=1, n_rounds=1)
    cache = AnswerCache(object_store, store_prefix, service)
    sampling = SamplingOptions(max_output_tokens=120)

    def ask(chat):
        return complete(service, cache, [chat])[0]

    giver = LanguageAgent("Give half.", game, ask, sampling)
    result = play(game, [giver, SCRIPTED["never-give"]], imitate)
    given = {move.donor: move.given for move in result.moves}
    assert 0 <= given[0] <= 10
    assert given[1] == 0
    assert result.scores[0].n_faults == 0


def test_the_server_is_on_loopback_and_requires_its_key(service):
    import httpx

    service.ask(ONE_WORD)
    (child,) = [p for p in psutil.Process().children() if "local_process" in " ".join(p.cmdline())]
    listening = [c for c in child.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}
    body = {"model": "x", "messages": [{"role": "user", "content": "hello"}]}
    answer = httpx.post(f"{service.base_url}/chat/completions", json=body, timeout=10)
    assert answer.status_code == 401
    key = service.api_key.get_secret_value()
    assert key not in " ".join(child.cmdline()) + str(child.environ())


def test_the_server_ends_with_the_context(models):
    with models.open(ID) as service:
        service.ask(ONE_WORD)
        process = service._process
    assert process.returncode == 0


HELD = """
import sys, time
from pathlib import Path
from genept.common import Settings
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.language_models import Chat, LanguageModels
archives = Archives(load_catalogue(), Path(sys.argv[2]))
service = LanguageModels(Settings(state_dir=sys.argv[1]), archives.open_member).open("smollm2-135m")
service.client
print(service._process.pid, flush=True)
time.sleep(600)
"""


def test_the_server_ends_when_the_process_that_started_it_is_killed(tmp_path, real_archives):
    command = [sys.executable, "-c", HELD, str(tmp_path), str(real_archives.folder)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    server = psutil.Process(int(holder.stdout.readline()))
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    end = time.monotonic() + 20
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_damaged_weights_are_unpacked_anew_and_others_refused(tmp_path, real_archives):
    weights = load_language_models()[ID].weights
    path = unpacked_weights(weights, real_archives.open_member, tmp_path)
    path.write_bytes(b"damaged")
    assert unpacked_weights(weights, real_archives.open_member, tmp_path).stat().st_size > 9e7
    other = weights.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(RefusedChatError, match="correct the declaration"):
        unpacked_weights(other, real_archives.open_member, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
