"""A server that speaks S3 on loopback: python s3_server.py FLAG.

It prints its port. While the file FLAG exists, it refuses the second piece of an upload.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

BUCKET = "exports"


def serve(flag: Path) -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    moto = DomainDispatcherApplication(create_backend_app)

    def handle(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if flag.exists() and "partNumber=2" in environ["QUERY_STRING"]:
            start_response("403 Forbidden", [("Content-Length", "0")])
            return [b""]
        return moto(environ, start_response)

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            """Say nothing."""

    server = make_server("127.0.0.1", 0, handle, threaded=True, request_handler=Quiet)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


@contextmanager
def s3_server(flag: Path) -> Iterator[str]:
    """Run it with a bucket, and yield the options of an address there."""
    command = [sys.executable, "-m", "tests.support.s3_server", str(flag)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            host = f"127.0.0.1:{int(process.stdout.readline())}"
            urlopen(Request(f"http://{host}/{BUCKET}", method="PUT")).close()
            yield f"region=us-east-1&scheme=http&endpoint_override={host}"
        finally:
            process.kill()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
