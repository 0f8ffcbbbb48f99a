//! Blocks of 32 numbers with one scale, and in the second kind one offset.

use super::half;

/// The number of four bits at each place: the low halves of sixteen bytes first, then the high ones.
#[inline(always)]
fn nibbles(bytes: &[u8]) -> [u8; 32] {
    std::array::from_fn(
        #[inline(always)]
        |i| if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 },
    )
}

/// The same with a fifth bit from the four bytes before them.
#[inline(always)]
fn with_fifth_bit(bytes: &[u8]) -> [u8; 32] {
    let high = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let mut numbers = nibbles(&bytes[4..20]);
    for (i, number) in numbers.iter_mut().enumerate() {
        *number |= ((high >> i & 1) << 4) as u8;
    }
    numbers
}

/// scale · (number − zero)
#[inline(always)]
fn centred(numbers: [u8; 32], zero: f32, scale: f32, out: &mut [f32; 32]) {
    for (out, number) in out.iter_mut().zip(numbers) {
        *out = scale * (f32::from(number) - zero);
    }
}

/// scale · number + offset
#[inline(always)]
fn offset(numbers: [u8; 32], scale: f32, offset: f32, out: &mut [f32; 32]) {
    for (out, number) in out.iter_mut().zip(numbers) {
        *out = scale * f32::from(number) + offset;
    }
}

#[inline(always)]
pub fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    centred(nibbles(&block[2..]), 8.0, half(block), out);
}

#[inline(always)]
pub fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    offset(nibbles(&block[4..]), half(block), half(&block[2..]), out);
}

#[inline(always)]
pub fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    centred(with_fifth_bit(&block[2..]), 16.0, half(block), out);
}

#[inline(always)]
pub fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    offset(with_fifth_bit(&block[4..]), half(block), half(&block[2..]), out);
}

#[inline(always)]
pub fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let scale = half(block);
    for (out, byte) in out.iter_mut().zip(&block[2..]) {
        *out = scale * f32::from(*byte as i8);
    }
}
