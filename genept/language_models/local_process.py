"""The process that serves a local model on loopback, until the process that started it is gone.

It gets everything on standard input, as one line of JSON, so that its key is in no list of
processes; it prints its address, and ends when its input does.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Serve the model that standard input names."""
    import xllamacpp

    given = json.loads(sys.stdin.readline())
    options = xllamacpp.CommonParams()
    options.model.path = given["file"]
    options.model_alias = {given["model"]}
    options.api_keys = [given["key"]]
    options.hostnames = ["127.0.0.1"]
    options.port = 0
    options.n_ctx = given["context_tokens"]
    options.n_parallel = 1
    options.cpuparams.n_threads = given["threads"]
    options.cache_prompt = False  # an answer must not depend on the question before it
    options.warmup = options.ui = options.endpoint_slots = False
    options.verbosity = 0
    server = xllamacpp.Server(options)
    sys.stdout.write(json.dumps({"url": f"{server.listening_address}/v1"}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # a request that is under way is of nobody any more


if __name__ == "__main__":
    main()
