"""Turns orders of the feed into invoices. Amounts are whole cents."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    sku: str
    quantity: int
    unit_cents: int

    @property
    def total(self):
        return self.quantity * self.unit_cents


@dataclass(frozen=True)
class Order:
    number: int
    lines: tuple
    voucher_cents: int = 0


@dataclass(frozen=True)
class Invoice:
    number: int
    # (sku, cents to pay), in the order of the lines
    rows: tuple

    @property
    def total(self):
        return sum(cents for _, cents in self.rows)


def parse(record):
    """Reads one record of the feed."""
    lines = tuple(
        Line(line["sku"], int(line.get("quantity", 1)), int(line["unit_cents"]))
        for line in record["lines"]
    )
    return Order(int(record["number"]), lines, int(record.get("voucher_cents", 0)))


def split_voucher(order):
    """What of the voucher goes to each line, in proportion to the lines' totals.

    The parts add up to the voucher, or to the order's total if that is less.
    """
    total = sum(line.total for line in order.lines)
    voucher = min(order.voucher_cents, total)
    parts = [voucher * line.total // total for line in order.lines]
    # Cents lost to rounding go to the dearest line.
    dearest = max(range(len(parts)), key=lambda at: order.lines[at].total)
    parts[dearest] += voucher - sum(parts)
    return parts


def invoice(order):
    """The invoice of an order, its voucher already taken off line by line."""
    rows = zip(order.lines, split_voucher(order))
    return Invoice(order.number, tuple((line.sku, line.total - part) for line, part in rows))
