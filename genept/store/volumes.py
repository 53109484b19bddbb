"""Whether SeaweedFS serves every volume that it keeps on disk.

For some seconds after a start it may accept requests and yet not know its own
volumes: when the volume server's first report comes before the master leads, the
next follows 5 s later, and until then every stored object is an internal error.
"""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from pathlib import Path

from genept.store.certificates import Certificates
from genept.store.server import LOOPBACK


def unserved_volumes(data: Path, master_port: int, certificates: Certificates) -> set[int]:
    """Numbers of the volumes below `data` that the master does not know (yet).

    Raises
    ------
    OSError, http.client.HTTPException
        The master does not answer.
    """
    on_disk = {int(path.stem.rpartition("_")[2]) for path in data.glob("*.dat")}
    with closing(
        http.client.HTTPSConnection(LOOPBACK, master_port, timeout=5, context=certificates.client())
    ) as connection:
        connection.request("GET", "/vol/status")
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise http.client.HTTPException(f"the master answers {answer.status}")
        centers = json.load(answer)["Volumes"]["DataCenters"] or {}
    served = {
        volume["Id"]
        for racks in centers.values()
        for servers in racks.values()
        for volumes in servers.values()
        for volume in volumes or ()
    }
    return on_disk - served
