//! Seeded damage to bytes: what the tests of decoders feed them on stable Rust. The same targets run
//! under a fuzzer that follows coverage (`tests/fuzz/`); here the same inputs come every time.

use std::panic::catch_unwind;

use crate::{Entropy, KIB, SeededEntropy};

/// Bytes of one input at most.
const INPUT_BYTES_MAX: usize = 64 * KIB;
/// Changes made to one input at most.
const CHANGES_MAX: u64 = 6;
/// How often a byte is repeated at most: deep nesting, long numbers.
const REPEATS_MAX: u64 = 2_000;
/// Numbers at which lengths, counts and offsets go wrong.
const NUMBERS: [u64; 12] =
    [0, 1, 7, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX / 2, u64::MAX];

/// A decoder and what it is fed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, as the fuzzer's.
    pub name: &'static str,
    /// Reads any bytes; panics when something does not hold.
    pub run: fn(&[u8]),
    /// Inputs to begin with: whole ones, as the encoders make them.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What its format is made of: put in at random places.
    pub words: &'static [&'static str],
    /// Damaged inputs in a test.
    pub rounds: u64,
}

/// Feeds every target its seeds and then `rounds` damaged ones.
///
/// # Panics
/// When a target does, with the input.
pub fn drive(targets: &[Target]) {
    for target in targets {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seed", target.name);
        for seed in &seeds {
            feed(target, seed);
        }
        for round in 0..target.rounds {
            feed(target, &damaged(&seeds, target.words, round));
        }
    }
}

fn feed(target: &Target, input: &[u8]) {
    let run = target.run;
    // The panic itself has been printed by then.
    assert!(catch_unwind(|| run(input)).is_ok(), "{} fails on b\"{}\"", target.name, input.escape_ascii());
}

/// One of `seeds` with up to [`CHANGES_MAX`] changes; the same for the same `round`.
#[must_use]
pub fn damaged(seeds: &[Vec<u8>], words: &[&str], round: u64) -> Vec<u8> {
    let dice = Dice(SeededEntropy::new(round.wrapping_mul(0xd134_2543_de82_ef95)));
    let mut input = seeds.get(dice.below(seeds.len())).cloned().unwrap_or_default();
    for _ in 0..=dice.0.next_u64() % CHANGES_MAX {
        change(&mut input, seeds, words, &dice);
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

struct Dice(SeededEntropy);

impl Dice {
    /// A number below `end`; 0 when that is 0.
    fn below(&self, end: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "below end")]
        let below = self.0.next_u64().checked_rem(end as u64).unwrap_or(0) as usize;
        below
    }

    fn byte(&self) -> u8 {
        self.0.next_u64().to_le_bytes()[0]
    }

    /// A range within `length`; short ones are likely.
    fn range(&self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        let most = if self.byte() < 192 { 16 } else { length };
        from..(from + self.below(most + 1)).min(length)
    }
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str], dice: &Dice) {
    let at = dice.below(input.len() + 1);
    match dice.below(10) {
        0 | 1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        2 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = dice.byte();
            }
        }
        3 => input.truncate(at),
        4 => drop(input.drain(dice.range(input.len()))),
        5 => {
            let copy = input.get(dice.range(input.len())).unwrap_or_default().to_vec();
            drop(input.splice(at..at, copy));
        }
        6 => {
            let other = seeds.get(dice.below(seeds.len())).map_or(&[][..], Vec::as_slice);
            input.truncate(at);
            input.extend_from_slice(other.get(dice.below(other.len() + 1)..).unwrap_or_default());
        }
        7 => {
            let number = NUMBERS[dice.below(NUMBERS.len())].to_le_bytes();
            let bytes = &number[..[1, 2, 4, 8][dice.below(4)]];
            let end = (at + bytes.len()).min(input.len());
            drop(input.splice(at..end, bytes.iter().copied()));
        }
        8 => {
            let byte = input.get(at).copied().unwrap_or_else(|| dice.byte());
            let times = dice.0.next_u64() % REPEATS_MAX;
            drop(input.splice(at..at, (0..times).map(|_| byte)));
        }
        _ => {
            let word = words.get(dice.below(words.len())).map_or(&[][..], |word| word.as_bytes());
            let end = if dice.byte() < 128 { at } else { (at + word.len()).min(input.len()) };
            drop(input.splice(at..end, word.iter().copied()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn damage_is_bounded_varied_and_the_same_each_time() {
        let seeds = [b"{\"a\":1}".to_vec(), vec![7; 300]];
        let all: Vec<_> = (0..500).map(|round| damaged(&seeds, &["word"], round)).collect();
        assert!(all.iter().all(|input| input.len() <= INPUT_BYTES_MAX));
        assert!(all.iter().collect::<BTreeSet<_>>().len() > 400, "varied");
        assert!(all.iter().any(|input| input.windows(4).any(|four| four == b"word")));
        assert!((0..500).all(|round| damaged(&seeds, &["word"], round) == all[round as usize]));
    }

    #[test]
    #[should_panic(expected = "planted fails on b\"")]
    fn a_target_that_panics_is_told_with_its_input() {
        let run = |bytes: &[u8]| assert!(!bytes.contains(&b'!'), "planted");
        drive(&[Target { name: "planted", run, seeds: || vec![b"abc".to_vec()], words: &["!"], rounds: 500 }]);
    }
}
