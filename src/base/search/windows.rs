//! Which few bytes of each literal are searched for, and which of them are searched for together.
//!
//! A literal is found by a window of [`WIDTH`] bytes that ordinary logs hold seldom; literals that have one in common share it.
//! Windows are put into buckets; those of a bucket share their tables, so it also lets pass what is mixed of
//! several. Each window goes to the bucket that then lets pass the least: of what a sample holds, counted, and of what may be
//! in other texts, estimated. Pure.

use std::collections::{BTreeMap, BinaryHeap, HashMap};

use foldhash::fast::FixedState;

/// Bytes of a window.
pub(super) const WIDTH: usize = 4;

/// Buckets for few windows: as many as two bytes have bits.
const FEW_BUCKETS: usize = 16;

/// Buckets for more windows than [`FEW_WINDOWS`], which makes the search slower and what passes rarer.
const MANY_BUCKETS: usize = 32;
const FEW_WINDOWS: usize = 150;

/// Texts as long as a window that are looked at: the most frequent ones of the sample.
const GRAMS: usize = 2048;

/// A window is as good as the rarest one of its literal if it is so much more frequent.
const AS_GOOD: u32 = 2;

/// One bit for each text.
type Grams = [u64; GRAMS / 64];

/// Bytes in lower case; `None` behind a literal's end, where any byte will do.
type Window = [Option<u8>; WIDTH];

/// The low and the high halves of the bytes that may stand at one place of a bucket's windows, as bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Halves {
    pub(super) low: u16,
    pub(super) high: u16,
}

/// Windows that are searched for together.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    halves: [Halves; WIDTH],
    /// The sample's texts that pass by the low and by the high half of a byte.
    passed: [[Grams; 2]; WIDTH],
    /// What it costs to look at all that passes.
    cost: u64,
}

impl Bucket {
    fn empty() -> Self {
        Self { halves: [Halves::default(); WIDTH], passed: [[[0; GRAMS / 64]; 2]; WIDTH], cost: 0 }
    }

    /// For each place of a window.
    pub(super) fn halves(&self) -> &[Halves; WIDTH] {
        &self.halves
    }

    fn is_empty(&self) -> bool {
        self.halves[0] == Halves::default()
    }
}

/// Where in each literal its window begins, and the buckets of all windows, as many as a multiple of 16. The literals are in lower
/// case.
#[inline(always)]
pub(super) fn plan(literals: &[Vec<u8>], ordinary: &[u8]) -> (Vec<usize>, Vec<Bucket>) {
    let counts = count(ordinary);
    let sample = Sample::new(&counts);
    let (offsets, windows) = choose(literals, &counts);
    let n_buckets = if windows.len() > FEW_WINDOWS { MANY_BUCKETS } else { FEW_BUCKETS };
    let mut buckets = vec![Bucket::empty(); n_buckets];
    for window in &windows {
        let n_used = buckets.iter().take_while(|it| !it.is_empty()).count();
        let (mut best, mut least) = (0, u64::MAX);
        for (number, bucket) in buckets.iter().enumerate().take(n_used + 1) {
            let added = sample.cost_with(bucket, window).saturating_sub(bucket.cost);
            if added < least {
                (best, least) = (number, added);
            }
        }
        sample.add(&mut buckets[best], window);
    }
    (offsets, buckets)
}

/// How often each text as long as a window is in a sample.
type Counts = HashMap<[u8; WIDTH], u32, FixedState>;

fn count(text: &[u8]) -> Counts {
    let mut counts = Counts::default();
    for gram in text.windows(WIDTH).filter_map(|it| it.first_chunk()) {
        *counts.entry(*gram).or_insert(0) += 1;
    }
    counts
}

/// For each literal where its window begins; and the windows, as few as rare ones can be.
fn choose(literals: &[Vec<u8>], counts: &Counts) -> (Vec<usize>, Vec<Window>) {
    let mut folded = Counts::default();
    for (gram, count) in counts {
        *folded.entry(gram.map(|it| it.to_ascii_lowercase())).or_insert(0) += count;
    }
    let count = |window: &Window| {
        let [Some(first), Some(second), Some(third), Some(fourth)] = *window else { return 0 };
        folded.get(&[first, second, third, fourth]).copied().unwrap_or(0)
    };
    // The literals that may take each window, with its place in them.
    let mut takers: BTreeMap<Window, Vec<(usize, usize)>> = BTreeMap::new();
    for (literal, text) in literals.iter().enumerate() {
        let starts = 0..=text.len().saturating_sub(WIDTH);
        let windows: Vec<(usize, Window, u32)> = starts
            .map(|it| (it, window_at(text, it)))
            .map(|(it, window)| (it, window, count(&window)))
            .collect();
        let least = windows.iter().map(|(_, _, count)| *count).min().unwrap_or(0);
        for (offset, window, _) in windows.into_iter().filter(|(_, _, count)| *count <= least + AS_GOOD) {
            takers.entry(window).or_default().push((literal, offset));
        }
    }
    // For each literal the number of the window it takes, and its place.
    let mut taken: Vec<Option<(usize, usize)>> = vec![None; literals.len()];
    let mut windows = Vec::new();
    // How many literals without a window may take one only falls, so what was counted earlier is an upper bound.
    let mut order: BinaryHeap<(usize, &Window)> =
        takers.iter().map(|(window, it)| (it.len(), window)).collect();
    while let Some((bound, window)) = order.pop() {
        let n_new = takers[window].iter().filter(|(it, _)| taken[*it].is_none()).count();
        match n_new {
            0 => continue,
            _ if n_new < bound => order.push((n_new, window)),
            _ => {
                for (literal, offset) in &takers[window] {
                    taken[*literal].get_or_insert((windows.len(), *offset));
                }
                windows.push(*window);
            }
        }
    }
    spread(&mut taken, windows.iter().map(|window| &takers[window][..]));
    (taken.into_iter().map(|it| it.map_or(0, |(_, offset)| offset)).collect(), windows)
}

/// Leaves each literal to the one of its windows that the fewest take: what stands at a window is compared with all that take it.
fn spread<'t>(
    taken: &mut [Option<(usize, usize)>],
    takers: impl Iterator<Item = &'t [(usize, usize)]> + Clone,
) {
    let mut n_taken = vec![0_usize; takers.clone().count()];
    taken.iter().flatten().for_each(|(window, _)| n_taken[*window] += 1);
    for (number, takers) in takers.enumerate() {
        for (literal, offset) in takers {
            if let Some((window, _)) = &mut taken[*literal]
                && n_taken[number] + 1 < n_taken[*window]
            {
                n_taken[*window] -= 1;
                n_taken[number] += 1;
                taken[*literal] = Some((number, *offset));
            }
        }
    }
}

fn window_at(literal: &[u8], offset: usize) -> Window {
    std::array::from_fn(|place| literal.get(offset + place).copied())
}

/// The most frequent texts of a sample.
struct Sample {
    /// For each place in a text, its low and its high half: the texts that have it.
    having: [[[Grams; 16]; 2]; WIDTH],
    /// How often 64 texts are in the sample, on the average, in thousandths.
    weights: [u64; GRAMS / 64],
}

impl Sample {
    fn new(counts: &Counts) -> Box<Self> {
        let mut sample =
            Box::new(Self { having: [[[[0; GRAMS / 64]; 16]; 2]; WIDTH], weights: [0; GRAMS / 64] });
        let mut grams: Vec<_> = counts.iter().map(|(gram, count)| (*count, *gram)).collect();
        grams.sort_unstable_by(|left, right| right.cmp(left));
        for (number, (count, gram)) in grams.into_iter().take(GRAMS).enumerate() {
            let (word, bit) = (number / 64, number % 64);
            sample.weights[word] += u64::from(count) * 1000 / 64;
            for (place, byte) in gram.into_iter().enumerate() {
                for (side, half) in [byte & 15, byte >> 4].into_iter().enumerate() {
                    sample.having[place][side][usize::from(half)][word] |= 1 << bit;
                }
            }
        }
        sample
    }

    /// What a bucket costs when it has one window more.
    #[inline(always)]
    fn cost_with(&self, bucket: &Bucket, window: &Window) -> u64 {
        let mut passed = [u64::MAX; GRAMS / 64];
        let mut estimate = GRAMS as f32 * 1000.0;
        for (place, byte) in window.iter().enumerate() {
            let Some(byte) = byte else { continue };
            let [low, high] = &self.having[place];
            let [low, lower, upper] = [
                &low[usize::from(byte & 15)],
                &high[usize::from(byte >> 4)],
                &high[usize::from(upper(*byte) >> 4)],
            ];
            let [low_before, high_before] = &bucket.passed[place];
            let mut n_here = 0;
            for it in 0..GRAMS / 64 {
                let here = (low_before[it] | low[it]) & (high_before[it] | lower[it] | upper[it]);
                passed[it] &= here;
                n_here += here.count_ones();
            }
            // A byte that the sample does not have may be in the next log.
            estimate *= (n_here as f32 + 8.0) / GRAMS as f32;
        }
        let counted: u64 =
            passed.iter().zip(&self.weights).map(|(it, weight)| u64::from(it.count_ones()) * weight).sum();
        counted + estimate as u64
    }

    fn add(&self, bucket: &mut Bucket, window: &Window) {
        bucket.cost = self.cost_with(bucket, window);
        for (place, byte) in window.iter().enumerate() {
            let Some(byte) = byte else {
                bucket.halves[place] = Halves { low: u16::MAX, high: u16::MAX };
                bucket.passed[place] = [[u64::MAX; GRAMS / 64]; 2];
                continue;
            };
            for byte in [*byte, upper(*byte)] {
                let halves = &mut bucket.halves[place];
                *halves = Halves { low: halves.low | 1 << (byte & 15), high: halves.high | 1 << (byte >> 4) };
                for (side, half) in [byte & 15, byte >> 4].into_iter().enumerate() {
                    let here = &self.having[place][side][usize::from(half)];
                    bucket.passed[place][side].iter_mut().zip(here).for_each(|(all, here)| *all |= here);
                }
            }
        }
    }
}

fn upper(byte: u8) -> u8 {
    byte.to_ascii_uppercase()
}
