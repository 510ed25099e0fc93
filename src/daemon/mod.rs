//! Build everything, name every task, stop in order.
