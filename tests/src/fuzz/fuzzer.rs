//! What to try next.

use super::Form;
use super::mutate::{LONGEST, mutate};
use crate::random::Random;

/// Inputs that are kept for the new places they came to.
const POOL: usize = 8192;
/// So many of the newest are changed as often as all others together: they are the likelier ones to lead on.
const NEWEST: usize = 32;

/// The inputs that came to new places, and new ones made of them. All of it follows from the seed, and from what is
/// [kept](Self::keep).
#[derive(Debug)]
pub(super) struct Fuzzer {
    form: Form,
    random: Random,
    pool: Vec<Vec<u8>>,
    /// How many of the pool, which it began with, have been tried as they are.
    tried: usize,
    begun_with: usize,
}

impl Fuzzer {
    /// Begins with these, and with nothing at all.
    pub(super) fn new(form: Form, mut inputs: Vec<Vec<u8>>, seed: u64) -> Self {
        inputs.push(Vec::new());
        Self { form, random: Random::new(seed), begun_with: inputs.len(), pool: inputs, tried: 0 }
    }

    /// Whether all that it began with has been tried.
    pub(super) fn is_warm(&self) -> bool {
        self.tried == self.begun_with
    }

    /// The next input: first those it began with, then changed ones.
    pub(super) fn next(&mut self) -> Vec<u8> {
        if !self.is_warm() {
            self.tried += 1;
            return self.pool[self.tried - 1].clone();
        }
        let newest = self.random.index(2) == 0;
        let among = if newest { self.pool.len().min(NEWEST) } else { self.pool.len() };
        let at = self.pool.len() - 1 - self.random.index(among);
        let mut input = self.pool[at].clone();
        let other = self.random.index(self.pool.len());
        mutate(self.form, &mut input, &self.pool[other], &mut self.random);
        input
    }

    /// The input that was tried last came to a new place.
    pub(super) fn keep(&mut self, input: Vec<u8>) {
        // Those it began with are there already.
        if self.is_warm() && self.pool.len() < POOL && input.len() <= LONGEST {
            self.pool.push(input);
        }
    }

    /// Inputs in the pool.
    pub(super) fn pool(&self) -> usize {
        self.pool.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn what_is_hidden_is_found_by_the_places_on_the_way() {
        let wanted = b"niv";
        let found = |guided: bool| {
            let mut fuzzer = Fuzzer::new(Form::Octets, vec![vec![0; 6]], 1);
            let mut places = HashSet::new();
            (0..200_000).find(|_| {
                let input = fuzzer.next();
                let place = input.iter().zip(wanted).take_while(|(octet, wanted)| octet == wanted).count();
                if places.insert(place) && guided {
                    fuzzer.keep(input);
                }
                place == wanted.len()
            })
        };
        let guided = found(true).expect("found");
        assert!(guided > 2, "not by what it began with alone");
        assert_eq!(found(true), Some(guided), "it follows from the seed");
        assert_eq!(found(false), None, "one of 16 million");
    }

    #[test]
    fn texts_stay_texts_mostly() {
        let seeds = ["interface vethernet 1\n shutdown\n", "vlan 10"].map(|text| text.as_bytes().to_vec());
        let mut fuzzer = Fuzzer::new(Form::Text, seeds.into(), 1);
        let texts = (0..1000).filter(|_| String::from_utf8(fuzzer.next()).is_ok()).count();
        assert!(texts > 500, "{texts}");
    }
}
