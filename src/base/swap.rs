//! A shared value that can be exchanged while others work with it.

use std::sync::{Arc, PoisonError, RwLock};

/// What all clones of it hold: the same value, until one of them sets another.
#[derive(Debug)]
pub struct Swap<T>(Arc<RwLock<Arc<T>>>);

impl<T> Swap<T> {
    /// Holds `value` first.
    pub fn new(value: Arc<T>) -> Self {
        Self(Arc::new(RwLock::new(value)))
    }

    /// The value of now. Whoever has it keeps it, whatever is set later.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Exchanges the value.
    pub fn set(&self, value: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

impl<T> Clone for Swap<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_see_what_is_set_and_keep_what_they_have() {
        let swap = Swap::new(Arc::new(1));
        let (other, had) = (swap.clone(), swap.get());
        other.set(Arc::new(2));
        assert_eq!((*had, *swap.get()), (1, 2));
    }
}
