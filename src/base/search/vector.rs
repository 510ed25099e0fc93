//! The search with AVX2 for places where one of many short windows may begin, 64 bytes at a step. The only `unsafe` code of
//! the crate.
//!
//! Each byte of a window is looked up by its two halves in tables of 16 bits, one bit for each bucket of windows; a place is
//! told where one bucket has passed all bytes, or where an escape stands. What is told is not sure: the caller looks closely.
//!
//! Valgrind knows AVX2: `cargo test --lib --no-run base::search`, then `valgrind TEST-BINARY base::search --test-threads 1`.

use std::arch::x86_64::*;

use super::literals::ESCAPE;
use super::windows::{Bucket, WIDTH};

/// Bytes looked at in one step.
const STEP: usize = 64;

/// Bytes that one step reads.
const REACH: usize = STEP + WIDTH - 1;

/// A table for each half of a register.
#[derive(Debug, Clone)]
#[repr(align(32))]
struct Table([u8; 32]);

/// For each place of a window: by the low and by the high half of a byte, for each group of eight buckets.
type Tables<const GROUPS: usize> = [[[Table; 2]; GROUPS]; WIDTH];

/// The tables of all buckets. See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct Vector {
    groups: Groups,
    /// Some window goes on with any byte at all, so that bytes above 127 must be looked up too.
    has_any: bool,
}

#[derive(Debug, Clone)]
enum Groups {
    Two(Box<Tables<2>>),
    Four(Box<Tables<4>>),
}

impl Vector {
    /// The search for the windows of these buckets, 32 at most; `None` where the processor has no AVX2.
    pub(super) fn new(buckets: &[Bucket]) -> Option<Self> {
        if !is_x86_feature_detected!("avx2") || buckets.len() > 32 {
            return None;
        }
        let any = |bucket: &Bucket| bucket.halves().iter().any(|halves| halves.high & 0xff00 != 0);
        let groups = match buckets.len() {
            0..=16 => Groups::Two(Box::new(tables(buckets))),
            _ => Groups::Four(Box::new(tables(buckets))),
        };
        Some(Self { groups, has_any: buckets.iter().any(any) })
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
            match (&self.groups, self.has_any) {
                (Groups::Two(tables), false) => find_with::<2, false>(tables, text, from, is_hit),
                (Groups::Two(tables), true) => find_with::<2, true>(tables, text, from, is_hit),
                (Groups::Four(tables), false) => find_with::<4, false>(tables, text, from, is_hit),
                (Groups::Four(tables), true) => find_with::<4, true>(tables, text, from, is_hit),
            }
        }
    }
}

fn tables<const GROUPS: usize>(buckets: &[Bucket]) -> Tables<GROUPS> {
    let mut tables: Tables<GROUPS> =
        std::array::from_fn(|_| std::array::from_fn(|_| std::array::from_fn(|_| Table([0; 32]))));
    for (number, bucket) in buckets.iter().enumerate() {
        let (group, bit) = (number / 8, 1_u8 << (number % 8));
        for (place, halves) in bucket.halves().iter().enumerate() {
            for half in 0..16 {
                for lane in [half, half + 16] {
                    let [low, high] = &mut tables[place][group];
                    low.0[lane] |= if halves.low >> half & 1 == 1 { bit } else { 0 };
                    high.0[lane] |= if halves.high >> half & 1 == 1 { bit } else { 0 };
                }
            }
        }
    }
    tables
}

#[target_feature(enable = "avx2")]
fn find_with<const GROUPS: usize, const ANY: bool>(
    tables: &Tables<GROUPS>,
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
        let found = step::<GROUPS, ANY>(tables, bytes);
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
fn step<const GROUPS: usize, const ANY: bool>(tables: &Tables<GROUPS>, text: &[u8; REACH]) -> [__m256i; 2] {
    let half = _mm256_set1_epi8(15);
    let all = _mm256_set1_epi8(-1);
    // Two registers of text.
    let mut passed = [[all; GROUPS]; 2];
    let mut escapes = [_mm256_setzero_si256(); 2];
    let text = text.as_ptr();
    for (place, tables) in tables.iter().enumerate() {
        let load = |table: &Table| {
            // SAFETY: a table is 32 bytes, at an address that is a multiple of 32.
            unsafe { _mm256_load_si256(table.0.as_ptr().cast()) }
        };
        // SAFETY: `place` is below WIDTH, so both reads end within REACH bytes.
        let texts = unsafe {
            [_mm256_loadu_si256(text.add(place).cast()), _mm256_loadu_si256(text.add(place + 32).cast())]
        };
        if place == 0 {
            escapes = texts.map(|bytes| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(ESCAPE.cast_signed())));
        }
        let highs = texts.map(|bytes| _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half));
        // Bytes above 127 give nothing when they are looked up as they are, which spares cutting off their high half.
        let lows = if ANY { texts.map(|bytes| _mm256_and_si256(bytes, half)) } else { texts };
        for (group, [by_low, by_high]) in tables.iter().enumerate() {
            let (by_low, by_high) = (load(by_low), load(by_high));
            for lane in 0..2 {
                let here = _mm256_and_si256(
                    _mm256_shuffle_epi8(by_low, lows[lane]),
                    _mm256_shuffle_epi8(by_high, highs[lane]),
                );
                passed[lane][group] = _mm256_and_si256(passed[lane][group], here);
            }
        }
    }
    let either = |groups: [__m256i; GROUPS], escapes: __m256i| {
        groups.into_iter().fold(escapes, |either, here| _mm256_or_si256(either, here))
    };
    let [first, second] = passed;
    [either(first, escapes[0]), either(second, escapes[1])]
}
