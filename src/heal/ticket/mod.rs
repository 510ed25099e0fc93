//! Stage: open the ticket, and tell on it how attempts ended and that the error is back.
//!
//! Looks before it creates: the store's ticket, then the tracker's by its marker. **Invariant:** killed between any
//! two outside calls and run again, it leaves one ticket and one comment per event.

mod stage;

pub use stage::{TicketParts, TicketStage};
