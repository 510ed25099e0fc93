//! Tokens a model call used, as the provider counted them.

use std::ops::{Add, AddAssign};

/// Tokens of one call or of many. Each kind has its own price; a request's input is the sum of the three input kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Neither read from nor written to the prompt cache.
    pub input_tokens: u64,
    pub cache_write_tokens: u64,
    pub cache_read_tokens: u64,
    pub output_tokens: u64,
}

impl Usage {
    /// All tokens of the prompt.
    pub const fn prompt_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.cache_write_tokens).saturating_add(self.cache_read_tokens)
    }

    /// All tokens, in and out.
    pub const fn total_tokens(&self) -> u64 {
        self.prompt_tokens().saturating_add(self.output_tokens)
    }
}

impl Add for Usage {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
