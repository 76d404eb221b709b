//! Random numbers that are the same for the same seed on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014): a counter through a mixing function. Any seed is a good one.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The stream of `seed` with this number; streams of one seed have nothing to do with each other.
    pub(super) fn stream(seed: u64, number: u64) -> Self {
        let mut parent = Self(seed);
        let base = parent.next();
        Self(base ^ Self(number).next())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True with probability `p`; takes one number whatever `p` is.
    pub(super) fn chance(&mut self, p: f64) -> bool {
        // 53 bits, as many as an f64 tells apart in 0..1.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let point = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        point < p
    }

    /// A number below `n`; 0 when `n` is 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        // The high half of a 64 by 64 bit product; the bias is below n / 2^64.
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_splitmix64() {
        let mut random = Random(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn chances_are_kept() {
        let mut random = Random::stream(1, 2);
        let hits = (0..100_000).filter(|_| random.chance(0.3)).count();
        assert!((29_000..31_000).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| random.chance(1.0) && !random.chance(0.0)));
        assert!((0..1000).all(|_| random.below(7) < 7));
    }
}
