"""A Kubernetes API on loopback: a job that is created runs as a process with its own environment.

It knows only what `dagster-k8s` asks: create a job, read its status. A container starts in an
empty folder, with the variables of its manifest and nothing of the environment of the test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

JOBS = "/apis/batch/v1/namespaces/genept/jobs"


@dataclass
class Cluster:
    """Jobs that were created, and what their containers printed.

    Parameters
    ----------
    folder
        Has a folder for each job, in which its container starts.
    sources
        Variables of the ConfigMaps and Secrets of the namespace, by name.
    """

    folder: Path
    sources: Mapping[str, Mapping[str, str]]
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def create(self, job: dict[str, Any]) -> None:
        """Start the only container of a job."""
        name = job["metadata"]["name"]
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        here = self.folder / name
        here.mkdir(parents=True)
        with (here / "output").open("wb") as output:
            self.processes[name] = subprocess.Popen(
                [str(Path(sys.executable).with_name(container["args"][0])), *container["args"][1:]],
                cwd=here,
                env=self.environment(container),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.jobs[name] = job

    def environment(self, container: Mapping[str, Any]) -> dict[str, str]:
        """Variables of a container: those of its sources, and its own."""
        variables = {"PATH": os.defpath, "HOME": str(self.folder)}
        for source in container.get("envFrom", []):
            reference = source.get("configMapRef") or source["secretRef"]
            variables |= self.sources[reference["name"]]
        return variables | {entry["name"]: entry["value"] for entry in container.get("env", [])}

    def status(self, name: str) -> dict[str, int]:
        """Status of a job in the words of Kubernetes."""
        ended = self.processes[name].poll()
        if ended is None:
            return {"active": 1}
        return {"succeeded": 1} if ended == 0 else {"failed": 1}

    def output(self, name: str) -> str:
        """What a container printed."""
        return (self.folder / name / "output").read_text(errors="replace")


@contextmanager
def loopback_kubernetes(cluster: Cluster) -> Iterator[Path]:
    """Serve the API; yields a kubeconfig that leads to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            job = json.loads(body)
            cluster.create(job)
            self.answer(201, job)

        def do_GET(self) -> None:
            name = self.path.removeprefix(f"{JOBS}/").removesuffix("/status")
            if name in cluster.jobs:
                self.answer(200, cluster.jobs[name] | {"status": cluster.status(name)})
            else:
                self.answer(404, {"kind": "Status", "reason": "NotFound", "code": 404})

        def answer(self, code: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    kubeconfig = cluster.folder / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "loopback", "cluster": {"server": address}}],
                "users": [{"name": "test", "user": {}}],
                "contexts": [{"name": "c", "context": {"cluster": "loopback", "user": "test"}}],
                "current-context": "c",
            }
        )
    )
    try:
        yield kubeconfig
    finally:
        server.shutdown()
        server.server_close()
        for process in cluster.processes.values():
            process.kill()
            process.wait()
