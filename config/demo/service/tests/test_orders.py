import unittest

from orders import Line, Order, invoice, parse, split_voucher


class Parse(unittest.TestCase):
    def test_quantity_and_voucher_are_optional(self):
        order = parse({"number": "7", "lines": [{"sku": "mug", "unit_cents": 1250}]})
        self.assertEqual(order, Order(7, (Line("mug", 1, 1250),), 0))


class SplitVoucher(unittest.TestCase):
    def test_goes_by_the_lines_totals(self):
        order = Order(1, (Line("lamp", 1, 3000), Line("mug", 1, 1000)), 400)
        self.assertEqual(split_voucher(order), [300, 100])

    def test_no_cent_is_lost(self):
        order = Order(1, (Line("a", 1, 100), Line("b", 1, 100), Line("c", 1, 100)), 100)
        self.assertEqual(sum(split_voucher(order)), 100)

    def test_is_never_more_than_the_order(self):
        order = Order(1, (Line("mug", 2, 1250),), 9000)
        self.assertEqual(split_voucher(order), [2500])

    def test_free_lines_take_nothing(self):
        order = Order(1, (Line("tray", 1, 2400), Line("sample", 1, 0)), 500)
        self.assertEqual(split_voucher(order), [500, 0])


class Invoices(unittest.TestCase):
    def test_voucher_is_taken_off(self):
        order = Order(3, (Line("lamp", 1, 3000), Line("mug", 1, 1000)), 400)
        self.assertEqual(invoice(order).rows, (("lamp", 2700), ("mug", 900)))
        self.assertEqual(invoice(order).total, 3600)


if __name__ == "__main__":
    unittest.main()
