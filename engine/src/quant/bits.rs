//! Small unsigned numbers packed end to end, lowest bits first, across the borders of 32-bit words.

/// The `bits` wide number at place `index` of a column of words; `word` gives the column's words by row.
pub(super) fn unpack(index: usize, bits: usize, word: impl Fn(usize) -> u32) -> u32 {
    let (row, shift) = (index * bits / 32, index * bits % 32);
    let low = word(row) >> shift;
    let number = if shift + bits > 32 { low | word(row + 1) << (32 - shift) } else { low };
    number & ((1 << bits) - 1)
}

#[cfg(test)]
mod tests {
    use super::unpack;

    /// Three-bit numbers do not divide a word: the 11th and the 22nd lie in two.
    #[test]
    fn numbers_that_cross_words_come_back() {
        for bits in [2, 3, 4, 8] {
            let numbers: Vec<u32> = (0..32).map(|i| (i * 7 + 3) % (1 << bits)).collect();
            let mut words = vec![0u32; bits];
            for (i, number) in numbers.iter().enumerate() {
                for bit in 0..bits {
                    let place = i * bits + bit;
                    words[place / 32] |= (number >> bit & 1) << (place % 32);
                }
            }
            let back: Vec<u32> = (0..32).map(|i| unpack(i, bits, |row| words[row])).collect();
            assert_eq!(back, numbers, "{bits} bits");
        }
    }
}
