//! Blocks of 32 numbers with one scale, and in the second kind one offset.
//!
//! Numbers are unpacked to an array first: compilers make vectors of each of the two loops, but not of one.

use super::half;

/// The number of four bits at each place: the low halves of sixteen bytes first, then the high ones.
#[inline(always)]
fn nibbles(bytes: &[u8]) -> [u8; 32] {
    std::array::from_fn(
        #[inline(always)]
        |i| if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 },
    )
}

/// Sixteen for each bit of a byte that is set, the lowest bit first.
#[inline(always)]
fn sixteens(byte: u8) -> [u8; 8] {
    // Each of eight bytes keeps its own bit, which carries into the highest one.
    let bits = (u64::from(byte) * 0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
    (((bits + 0x7f7f_7f7f_7f7f_7f7f) & 0x8080_8080_8080_8080) >> 3).to_le_bytes()
}

/// Nibbles with a fifth bit each, which is one of those of the four bytes before them.
#[inline(always)]
fn with_fifth_bit(bytes: &[u8]) -> [u8; 32] {
    let low = nibbles(&bytes[4..20]);
    let high: [[u8; 8]; 4] = std::array::from_fn(
        #[inline(always)]
        |i| sixteens(bytes[i]),
    );
    std::array::from_fn(
        #[inline(always)]
        |i| low[i] | high[i / 8][i % 8],
    )
}

#[inline(always)]
pub(super) fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let scale = half(block);
    for (out, number) in out.iter_mut().zip(nibbles(&block[2..])) {
        *out = scale * (f32::from(number) - 8.0);
    }
}

#[inline(always)]
pub(super) fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (scale, offset) = (half(block), half(&block[2..]));
    for (out, number) in out.iter_mut().zip(nibbles(&block[4..])) {
        *out = scale * f32::from(number) + offset;
    }
}

#[inline(always)]
pub(super) fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let scale = half(block);
    for (out, number) in out.iter_mut().zip(with_fifth_bit(&block[2..])) {
        *out = scale * (f32::from(number) - 16.0);
    }
}

#[inline(always)]
pub(super) fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (scale, offset) = (half(block), half(&block[2..]));
    for (out, number) in out.iter_mut().zip(with_fifth_bit(&block[4..])) {
        *out = scale * f32::from(number) + offset;
    }
}

#[inline(always)]
pub(super) fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let scale = half(block);
    let numbers: [i8; 32] = std::array::from_fn(
        #[inline(always)]
        |i| block[2 + i] as i8,
    );
    for (out, number) in out.iter_mut().zip(numbers) {
        *out = scale * f32::from(number);
    }
}
