"""A script without keys that tries every kind of access to a running store.

It reads a JSON object from its input (see `attack`), gives up its privileges if it has any, and
prints a JSON list of the requests that were answered.
"""

from __future__ import annotations

import contextlib
import encodings.idna  # noqa: F401  # loaded when a name is looked up: too late for `nobody`
import http.client
import itertools
import json
import os
import socket
import ssl
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

SECONDS = 3.0
REFUSED = {400, 401, 403, 404, 405, 501}
"""Statuses of refused requests. 400: the server expects TLS, and the request had none."""

OPEN_TO_ALL = "/status"
"""The S3 port answers this path to everybody, and nothing else."""

GIVEN_UP = 5
"""After so many refused handshakes, further requests of this kind are not tried."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def http_requests(bucket: str, key: str, fid: str) -> list[tuple[str, str]]:
    """Reads, lists and writes first; deletions last, so that they cannot hide a read."""
    folder, _, name = key.rpartition("/")
    volume = fid.split(",", maxsplit=1)[0]
    return [
        *(("GET", path) for path in ("/", "/ui/index.html", "/status", "/stats/disk", "/metrics")),
        *(("GET", path) for path in ("/debug/pprof/", "/debug/vars", "/debug/pprof/heap")),
        *(
            ("GET", path)
            for path in ("/cluster/status", "/raft/stats", "/collection/info?detail=1")
        ),
        *(("GET", path) for path in ("/dir/status", "/vol/status", "/dir/assign?count=1")),
        ("GET", f"/dir/lookup?volumeId={volume}&read=yes"),
        ("GET", f"/dir/lookup?fileId={fid}"),
        ("GET", f"/{fid}"),
        ("GET", f"/{fid}?readDeleted=true"),
        *((method, f"/{bucket}/{key}") for method in ("GET", "HEAD")),
        *((method, f"/buckets/{bucket}/{key}") for method in ("GET", "HEAD")),
        *(("GET", path) for path in (f"/{bucket}?list-type=2", f"/{bucket}?uploads", "/buckets/")),
        *(("GET", path) for path in (f"/buckets/{bucket}/{folder}/?pretty=y", "/topics/?limit=9")),
        ("GET", f"/buckets/{bucket}/{key}?metadata=true"),
        ("GET", f"/{bucket}/{key}?acl"),
        *(("GET", path) for path in ("/api/cluster/volumes", "/login", "/api/files/browse?path=/")),
        *((method, f"/{fid}") for method in ("PUT", "POST")),
        ("POST", "/submit"),
        ("POST", "/?Action=ListUsers&Version=2010-05-08"),
        ("POST", "/?Action=CreateAccessKey&UserName=operator&Version=2010-05-08"),
        ("POST", "/?Action=AssumeRoleWithWebIdentity&RoleArn=operator&Version=2011-06-15"),
        ("POST", "/?Action=GetFederationToken&Name=operator&Version=2011-06-15"),
        *((method, f"/{bucket}/{key}") for method in ("PUT", "POST")),
        *((method, f"/buckets/{bucket}/{key}") for method in ("PUT", "POST")),
        ("POST", f"/buckets/{bucket}/{folder}/moved?mv.from=/buckets/{bucket}/{key}"),
        ("PUT", f"/{bucket}/planted"),
        ("POST", f"/buckets/{bucket}/{folder}/planted"),
        *(("GET", path) for path in ("/vol/grow?count=1", "/vol/vacuum?garbageThreshold=0.01")),
        ("POST", f"/admin/delete_collection?collection={bucket}"),
        ("POST", f"/{bucket}?delete"),
        *(
            ("DELETE", path)
            for path in (f"/{fid}", f"/{bucket}/{key}", f"/buckets/{bucket}/{name}")
        ),
        ("DELETE", f"/buckets/{bucket}/{folder}?recursive=true&ignoreRecursiveError=true"),
        ("GET", f"/col/delete?collection={bucket}"),
        ("DELETE", f"/{bucket}"),
    ]


def field(number: int, value: str | int) -> bytes:
    """One field of a protobuf message, less than 128 bytes long."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value.encode()


def grpc_calls(bucket: str, key: str, fid: str) -> list[tuple[str, bytes]]:
    """Method and message."""
    directory, _, name = f"/buckets/{bucket}/{key}".rpartition("/")
    filer, master = "/filer_pb.SeaweedFiler/", "/master_pb.Seaweed/"
    volume, iam = "/volume_server_pb.VolumeServer/", "/iam_pb.SeaweedIdentityAccessManagement/"
    entry = field(1, directory) + field(2, name)
    return [
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", field(7, "*")),
        (filer + "ListEntries", field(1, directory)),
        (filer + "LookupDirectoryEntry", entry),
        (filer + "GetFilerConfiguration", b""),
        (filer + "KvGet", field(1, "x")),
        (filer + "AssignVolume", field(1, 1) + field(2, bucket)),
        (filer + "SubscribeMetadata", field(1, "stranger") + field(2, "/")),
        (master + "Assign", field(1, 1)),
        (master + "LookupVolume", field(1, fid)),
        *((master + method, b"") for method in ("VolumeList", "Statistics", "ListClusterNodes")),
        (master + "CollectionList", field(1, 1)),
        (volume + "VolumeServerStatus", b""),
        (volume + "ReadNeedleBlob", field(1, 1) + field(3, 8) + field(4, 64)),
        *((iam + method, b"") for method in ("ListUsers", "GetConfiguration")),
        ("/messaging_pb.SeaweedS3IamCache/PutIdentity", b""),
        ("/worker_pb.WorkerService/WorkerStream", b""),
        ("/plugin.PluginControlService/WorkerStream", b""),
        ("/protobuf.Raft/OnSendJoin", b""),
        (filer + "CreateEntry", field(1, directory) + field(2, "planted")),
        (filer + "AtomicRenameEntry", entry + field(3, directory) + field(4, "moved")),
        (volume + "BatchDelete", field(1, fid) + field(2, 1)),
        (filer + "DeleteEntry", entry + field(4, 1) + field(5, 1)),
        (filer + "DeleteCollection", field(1, bucket)),
        (volume + "VolumeDelete", field(1, int(fid.split(",", maxsplit=1)[0]))),
        (volume + "DeleteCollection", field(1, bucket)),
        (master + "CollectionDelete", field(1, bucket)),
    ]


Dial = Callable[[], socket.socket]


def dials(ports: list[tuple[str, int]], sockets: list[str]) -> Iterator[tuple[str, Dial]]:
    """Every place that accepts connections, as a name and a way to connect."""
    for host, port in ports:
        yield f"{host}:{port}", partial(socket.create_connection, (host, port), SECONDS)
    for path in sockets:
        yield path, partial(connected, path)


def connected(path: str) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(SECONDS)
    channel.connect(path)
    return channel


def contexts(certificate: str, key: str) -> dict[str, ssl.SSLContext | None]:
    """Contexts of connections: plain text; TLS without and with a (self-signed) certificate."""
    by_name = {}
    for name in ("without a certificate", "with a certificate of its own"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        by_name[name] = context
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("own.pem", certificate), ("own.key", key)):
            Path(folder, name).write_text(content)
        context.load_cert_chain(Path(folder, "own.pem"), Path(folder, "own.key"))
    return {"in plain text": None, **by_name}


def request(dial: Dial, context: ssl.SSLContext | None, method: str, path: str) -> int | None:
    """The status of the response; None without a response."""
    try:
        with dial() as channel:
            wrapped = context.wrap_socket(channel) if context else channel
            body = b"stolen" if method in {"PUT", "POST"} else b""
            head = f"{method} {path} HTTP/1.1\r\nHost: store\r\nConnection: close\r\n"
            wrapped.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = http.client.HTTPResponse(wrapped, method=method)
            answer.begin()
            return answer.status
    except (OSError, http.client.HTTPException):
        return None


def speaks_http2(dial: Dial, context: ssl.SSLContext | None) -> bool:
    """Whether a gRPC server answers, with the settings that it begins every connection with."""
    if context:
        context.set_alpn_protocols(["h2"])
    try:
        with dial() as channel:
            wrapped = context.wrap_socket(channel) if context else channel
            wrapped.sendall(PREFACE)
            return wrapped.recv(9)[3:4] == b"\x04"
    except OSError:
        return False
    finally:
        if context:
            context.set_alpn_protocols(["http/1.1"])


def grpc_answers(target: str, calls: list[tuple[str, bytes]]) -> Iterator[str]:
    """The calls to which a gRPC server in plain text answers anything at all."""
    import grpc

    with grpc.insecure_channel(target) as channel:
        for method, message in calls:
            call = channel.unary_stream(method)
            try:
                first = list(itertools.islice(call(message, timeout=SECONDS), 1))
                yield f"{method} {len(first)} answers"
            except grpc.RpcError as error:
                if error.code() not in {grpc.StatusCode.UNAVAILABLE}:
                    yield f"{method} {error.code().name}"


def attack(target: dict[str, Any]) -> Iterator[str]:
    """Try every request on every port and socket, and yield those that were answered.

    Keys of `target`: `s3` (its port), `ports` (host and port), `sockets`, `files`, `bucket`,
    `key`, `fid`, `certificate`, `certificate_key`.
    """
    identifiers = [target[name] for name in ("bucket", "key", "fid")]
    ways = contexts(target["certificate"], target["certificate_key"])
    s3_sockets = {path for path in target["sockets"] if "s3" in path and "grpc" not in path}
    for address, dial in dials(target["ports"], target["sockets"]):
        is_s3 = address.endswith(f":{target['s3']}") or address in s3_sockets
        for way, context in ways.items():
            if speaks_http2(dial, context):
                yield f"{address} {way}: HTTP/2"
                if context is None:
                    grpc_target = f"unix:{address}" if address.startswith("/") else address
                    answers = grpc_answers(grpc_target, grpc_calls(*identifiers))
                    yield from (f"{address}: {answer}" for answer in answers)
            unanswered = 0
            for method, path in http_requests(*identifiers):
                status = request(dial, context, method, path)
                unanswered = unanswered + 1 if status is None else 0
                if unanswered == GIVEN_UP:
                    break
                if status is None or status in REFUSED or (is_s3 and path == OPEN_TO_ALL):
                    continue
                yield f"{address} {way}: {method} {path} {status}"
    for path in target["files"]:
        with contextlib.suppress(OSError):
            Path(path).stat()
            if os.access(path, os.R_OK):
                yield f"{path} is readable"


def main() -> None:
    warnings.simplefilter("ignore")
    target = json.load(sys.stdin)
    if target["user"] is not None:
        import grpc

        # The user may not be able to read this installation: load what is needed before.
        grpc.insecure_channel("unix:/nowhere").close()
        os.setgroups([])
        os.setgid(target["user"])
        os.setuid(target["user"])
    os.environ.pop("GENEPT_STATE_DIR", None)
    print(json.dumps([f"uid {os.getuid()}", *attack(target)]))  # noqa: T201


if __name__ == "__main__":
    main()
