"""Follows the order feed and writes an invoice for each order.

    python3 service.py            # waits half a second between orders
    INTERVAL=0.05 python3 service.py
    ROUNDS=1 python3 service.py   # goes through the feed once

The feed stands in for a queue: when it is through, it begins again.
"""

import json
import logging
import os
import pathlib
import sys
import time

import orders

FEED = pathlib.Path(__file__).with_name("feed.jsonl")

log = logging.getLogger("billing")


def handle(record):
    """Writes the invoice of one record. An order that cannot be invoiced does not stop the others."""
    try:
        invoice = orders.invoice(orders.parse(record))
    except Exception:
        log.exception("order %s cannot be invoiced", record.get("number"))
        return False
    log.info("order %s invoiced: %d.%02d EUR", invoice.number, *divmod(invoice.total, 100))
    return True


def main():
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    interval = float(os.environ.get("INTERVAL", "0.5"))
    rounds = int(os.environ.get("ROUNDS", "0"))
    records = [json.loads(line) for line in FEED.read_text().splitlines() if line]
    log.info("following the feed, %d orders a round", len(records))
    n_rounds = 0
    while rounds == 0 or n_rounds < rounds:
        for record in records:
            handle(record)
            time.sleep(interval)
        n_rounds += 1


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
