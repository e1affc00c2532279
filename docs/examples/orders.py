"""A small real service: `orders` asks `stock` over HTTP. Both record, and pass context in a header.

    python orders.py stock 8001
    python orders.py orders 8000 --stock http://127.0.0.1:8001

Each process writes its log, orders.jsonl and stock.jsonl, to the current folder. SIGTERM ends it and closes the log.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tracekit import Recorder, Run


def call(recorder: Recorder, url: str, to: str, name: str) -> tuple[int, Any]:
    """An HTTP request, recorded: the send before it leaves, the receive when its answer is here."""
    headers = recorder.inject({}, name, to=to)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="POST", headers=headers), timeout=5) as answer:
            recorder.extract(answer.headers, f"{name}.answer")
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:  # an answer as well
        recorder.extract(error.headers, f"{name}.answer")
        return error.code, None
    except OSError as error:  # no answer: nobody knows whether the request arrived
        recorder.event(f"{name}.unanswered", {"http.error": str(error)})
        return 503, None


class Service(ThreadingHTTPServer):
    """An HTTP server with a recorder; one thread a request."""

    def __init__(self, port: int, recorder: Recorder, stock: str | None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.recorder = recorder
        self.stock = stock
        self.reserved = 0


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        recorder, name = self.server.recorder, self.path.strip("/")
        caller = recorder.extract(self.headers, name)
        if self.server.stock is None:
            self.server.reserved += 1
            recorder.event("reserved", {"stock.reserved": self.server.reserved})
            status, body = 200, {"reserved": self.server.reserved}
        else:
            status, body = call(recorder, f"{self.server.stock}/reserve", "stock", "reserve")
        content = json.dumps(body).encode()
        self.send_response(status)
        for header, value in recorder.inject({}, f"{name}.answer", to=caller).items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """The log is the recorder's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["orders", "stock"])
    parser.add_argument("port", type=int)
    parser.add_argument("--stock", metavar="URL", help="where `orders` finds the other")
    options = parser.parse_args()
    with Recorder(f"{options.name}.jsonl", options.name, Run(system="orders and stock")) as recorder:
        service = Service(options.port, recorder, options.stock)
        # shutdown() waits for the loop that this handler interrupts: another thread has to call it.
        signal.signal(signal.SIGTERM, lambda *_: Thread(target=service.shutdown).start())
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        service.serve_forever()
        service.server_close()


if __name__ == "__main__":
    main()
