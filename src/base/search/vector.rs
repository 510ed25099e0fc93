//! The search with AVX2 for places where one of many short windows may begin, 64 bytes at a step. The only `unsafe` code of
//! the crate.
//!
//! Each byte of a window is looked up by its two halves in tables of 16 bits, one bit for each bucket of windows; a place is
//! told where one bucket has passed all bytes, or where an escape stands. What is told is not sure: the caller looks closely.
//!
//! Valgrind knows AVX2: `cargo test --lib --no-run base::search`, then `valgrind TEST-BINARY base::search --test-threads 1`.

use std::arch::x86_64::*;

use super::literals::ESCAPE;
use super::windows::{BUCKETS, Bucket, WIDTH};

/// Bytes looked at in one step.
const STEP: usize = 64;

/// Bytes that one step reads.
const REACH: usize = STEP + WIDTH - 1;

/// A table for each half of a register.
#[derive(Debug, Clone)]
#[repr(align(32))]
struct Table([u8; 32]);

/// The tables of all buckets. See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct Vector {
    /// For each place of a window: by the low and by the high half of a byte, for the first eight buckets and for the others.
    tables: [[Table; 4]; WIDTH],
    /// Some window goes on with any byte at all, so that bytes above 127 must be looked up too.
    has_any: bool,
}

impl Vector {
    /// The search for the windows of these buckets; `None` where the processor has no AVX2.
    pub(super) fn new(buckets: &[Bucket; BUCKETS]) -> Option<Self> {
        if !is_x86_feature_detected!("avx2") {
            return None;
        }
        let mut tables: [[Table; 4]; WIDTH] =
            std::array::from_fn(|_| std::array::from_fn(|_| Table([0; 32])));
        let mut has_any = false;
        for (number, bucket) in buckets.iter().enumerate() {
            let (pair, bit) = (number / 8 * 2, 1_u8 << (number % 8));
            for (place, halves) in bucket.halves().iter().enumerate() {
                has_any |= halves.high & 0xff00 != 0;
                for half in 0..16 {
                    for lane in [half, half + 16] {
                        tables[place][pair].0[lane] |= if halves.low >> half & 1 == 1 { bit } else { 0 };
                        tables[place][pair + 1].0[lane] |= if halves.high >> half & 1 == 1 { bit } else { 0 };
                    }
                }
            }
        }
        Some(Self { tables, has_any })
    }

    /// The same work, done with the instructions that the search needs anyway; `None` where the processor has none of them.
    #[expect(unsafe_code, reason = "the processor's own instructions")]
    pub(super) fn faster<T>(work: impl FnOnce() -> T) -> Option<T> {
        #[target_feature(enable = "avx2,popcnt")]
        fn with_them<T>(work: impl FnOnce() -> T) -> T {
            work()
        }
        let has_them = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt");
        // SAFETY: the processor has them.
        has_them.then(|| unsafe { with_them(work) })
    }

    /// The first place at or behind `from` where a window may begin and `is_hit` says that a literal stands there. A window may
    /// reach beyond the end, where it meets zeros.
    #[expect(unsafe_code, reason = "the processor's own instructions")]
    pub(super) fn find(&self, text: &[u8], from: usize, is_hit: impl FnMut(usize) -> bool) -> Option<usize> {
        // SAFETY: `new` has made sure that the processor has AVX2.
        unsafe {
            match self.has_any {
                false => self.find_with::<false>(text, from, is_hit),
                true => self.find_with::<true>(text, from, is_hit),
            }
        }
    }

    #[target_feature(enable = "avx2")]
    fn find_with<const ANY: bool>(
        &self,
        text: &[u8],
        from: usize,
        mut is_hit: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let mut rest = [0; REACH];
        let mut at = from;
        while at < text.len() {
            let bytes = match text[at..].first_chunk::<REACH>() {
                Some(bytes) => bytes,
                None => {
                    rest[..text.len() - at].copy_from_slice(&text[at..]);
                    &rest
                }
            };
            let found = self.step::<ANY>(bytes);
            let all = _mm256_or_si256(found[0], found[1]);
            if _mm256_testz_si256(all, all) == 0 {
                // One register after the other: joined to 64 bits the compiler would take them apart byte by byte.
                for (lane, found) in found.into_iter().enumerate() {
                    let nothing = _mm256_cmpeq_epi8(found, _mm256_setzero_si256());
                    let mut mask = !_mm256_movemask_epi8(nothing).cast_unsigned();
                    while mask != 0 {
                        let place = at + 32 * lane + mask.trailing_zeros() as usize;
                        mask &= mask - 1;
                        if place < text.len() && is_hit(place) {
                            return Some(place);
                        }
                    }
                }
            }
            at += STEP;
        }
        None
    }

    /// For each byte whether it is an escape or a window may begin there: not zero if so.
    #[expect(unsafe_code, reason = "reads by pointer")]
    #[inline]
    #[target_feature(enable = "avx2")]
    fn step<const ANY: bool>(&self, text: &[u8; REACH]) -> [__m256i; 2] {
        let half = _mm256_set1_epi8(15);
        let all = _mm256_set1_epi8(-1);
        // Two registers of text, two groups of buckets.
        let mut passed = [[all; 2]; 2];
        let mut escapes = [_mm256_setzero_si256(); 2];
        let text = text.as_ptr();
        for (place, tables) in self.tables.iter().enumerate() {
            let [low_first, high_first, low_second, high_second] = tables;
            let load = |table: &Table| {
                // SAFETY: a table is 32 bytes, at an address that is a multiple of 32.
                unsafe { _mm256_load_si256(table.0.as_ptr().cast()) }
            };
            let tables = [[load(low_first), load(high_first)], [load(low_second), load(high_second)]];
            // SAFETY: `place` is below WIDTH, so both reads end within REACH bytes.
            let texts = unsafe {
                [_mm256_loadu_si256(text.add(place).cast()), _mm256_loadu_si256(text.add(place + 32).cast())]
            };
            for (lane, bytes) in texts.into_iter().enumerate() {
                if place == 0 {
                    escapes[lane] = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(ESCAPE.cast_signed()));
                }
                let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
                // Bytes above 127 give nothing when they are looked up as they are, which spares cutting off their high half.
                let low = if ANY { _mm256_and_si256(bytes, half) } else { bytes };
                for (group, [by_low, by_high]) in tables.into_iter().enumerate() {
                    let here = _mm256_and_si256(
                        _mm256_shuffle_epi8(by_low, low),
                        _mm256_shuffle_epi8(by_high, high),
                    );
                    passed[lane][group] = _mm256_and_si256(passed[lane][group], here);
                }
            }
        }
        let [[first, second], [third, fourth]] = passed;
        [
            _mm256_or_si256(_mm256_or_si256(first, second), escapes[0]),
            _mm256_or_si256(_mm256_or_si256(third, fourth), escapes[1]),
        ]
    }
}
