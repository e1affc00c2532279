"""Runs the two processes of orders.py, kills one in the middle of its work, starts it again, and stops both.

python run.py
tracekit convert orders.jsonl stock.jsonl customer.jsonl -o run.parquet
tracekit analyze run.parquet
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from orders import call

from tracekit import Recorder

ORDERS = Path(__file__).with_name("orders.py")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def start(*arguments: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, str(ORDERS), *arguments], stdout=subprocess.PIPE)
    assert process.stdout
    if process.stdout.readline() != b"ready\n":
        raise SystemExit(f"{arguments[0]} did not start")
    return process


def main() -> None:
    front, back = free_port(), free_port()
    stock = start("stock", str(back))
    orders = start("orders", str(front), "--stock", f"http://127.0.0.1:{back}")
    try:
        with Recorder("customer.jsonl", "customer") as customer, ThreadPoolExecutor(4) as threads:

            def order(count: int) -> list[Future[tuple[int, Any]]]:
                url = f"http://127.0.0.1:{front}/order"
                return [threads.submit(call, customer, url, "orders", "order") for _ in range(count)]

            answers = order(40)
            while not answers[20].done():
                time.sleep(0.001)
            stock.kill()  # SIGKILL, in the middle of whatever it is doing
            stock.wait()
            stock = start("stock", str(back))
            statuses = [answer.result()[0] for answer in answers + order(20)]
        sys.stdout.write(f"{statuses.count(200)} orders taken, {statuses.count(503)} not, for stock was down\n")
    finally:
        for process in (orders, stock):
            process.terminate()
        for process in (orders, stock):
            process.wait()


if __name__ == "__main__":
    main()
