//! `homeostat scan` over files of every format.
