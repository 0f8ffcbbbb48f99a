//! K-quants: blocks of 256 numbers in groups of 16 or 32, whose scales are quantised themselves.
//!
//! Where a number's bits lie in two places, numbers are unpacked to an array first, which compilers make vectors of.

use super::half;

/// scale · number − offset of a group.
#[inline(always)]
fn group(out: &mut [f32], bytes: &[u8], scale: f32, offset: f32, number: impl Fn(u8) -> u8) {
    for (out, byte) in out.iter_mut().zip(bytes) {
        *out = scale * f32::from(number(*byte)) - offset;
    }
}

/// scale · (number − zero) of a group.
#[inline(always)]
fn centred(out: &mut [f32], numbers: &[u8], zero: f32, scale: f32) {
    for (out, number) in out.iter_mut().zip(numbers) {
        *out = scale * (f32::from(*number) - zero);
    }
}

/// Sixteen bytes of a scale and an offset of four bits each, the numbers of two bits, two scales of these.
#[inline(always)]
pub(super) fn q2(block: &[u8; 84], out: &mut [f32; 256]) {
    let (scales, rest) = block.split_at(16);
    let (numbers, factors) = rest.split_at(64);
    let (scale, least) = (half(factors), half(&factors[2..]));
    for (index, (out, scales)) in out.chunks_exact_mut(16).zip(scales).enumerate() {
        // A half of the block has 32 bytes, whose pairs of bits are a group of 32 each.
        let bytes = &numbers[32 * (index / 8) + 16 * (index % 2)..][..16];
        let shift = 2 * (index % 8 / 2);
        let (scale, offset) = (scale * f32::from(scales & 15), least * f32::from(scales >> 4));
        group(
            out,
            bytes,
            scale,
            offset,
            #[inline(always)]
            |byte| byte >> shift & 3,
        );
    }
}

/// A third bit of each number, two bits of each, sixteen scales of six bits, and the scale of these.
#[inline(always)]
pub(super) fn q3(block: &[u8; 110], out: &mut [f32; 256]) {
    let (high, rest) = block.split_at(32);
    let (low, rest) = rest.split_at(64);
    let (scales, factor) = rest.split_at(12);
    let factor = half(factor);
    let mut numbers = [0; 256];
    for (index, numbers) in numbers.chunks_exact_mut(32).enumerate() {
        let (low, shift) = (&low[32 * (index / 4)..][..32], 2 * (index % 4));
        for (number, (low, high)) in numbers.iter_mut().zip(low.iter().zip(high)) {
            *number = (low >> shift & 3) | (high >> index & 1) << 2;
        }
    }
    for (index, (out, numbers)) in out.chunks_exact_mut(16).zip(numbers.chunks_exact(16)).enumerate() {
        let scale = scales[index % 8] >> (4 * (index / 8)) & 15;
        let scale = scale | (scales[8 + index % 4] >> (2 * (index / 4)) & 3) << 4;
        centred(out, numbers, 4.0, factor * (f32::from(scale) - 32.0));
    }
}

/// The scale and offset of group `index`, of six bits each, in twelve bytes.
#[inline(always)]
fn scale_and_offset(bytes: &[u8], index: usize) -> (f32, f32) {
    let (scale, offset) = match index {
        0..4 => (bytes[index] & 63, bytes[index + 4] & 63),
        _ => (
            bytes[index + 4] & 15 | bytes[index - 4] >> 6 << 4,
            bytes[index + 4] >> 4 | bytes[index] >> 6 << 4,
        ),
    };
    (f32::from(scale), f32::from(offset))
}

/// Two scales, of the groups' scales and offsets; then these, and the numbers of four bits.
#[inline(always)]
pub(super) fn q4(block: &[u8; 144], out: &mut [f32; 256]) {
    let (scale, least) = (half(block), half(&block[2..]));
    let (scales, numbers) = block[4..].split_at(12);
    for (index, out) in out.chunks_exact_mut(32).enumerate() {
        let bytes = &numbers[32 * (index / 2)..][..32];
        let shift = 4 * (index % 2);
        let (factor, offset) = scale_and_offset(scales, index);
        group(
            out,
            bytes,
            scale * factor,
            least * offset,
            #[inline(always)]
            |byte| byte >> shift & 15,
        );
    }
}

/// The same, with a fifth bit of each number before the four.
#[inline(always)]
pub(super) fn q5(block: &[u8; 176], out: &mut [f32; 256]) {
    let (scale, least) = (half(block), half(&block[2..]));
    let (scales, rest) = block[4..].split_at(12);
    let (high, low) = rest.split_at(32);
    for (index, out) in out.chunks_exact_mut(32).enumerate() {
        let low = &low[32 * (index / 2)..][..32];
        let shift = 4 * (index % 2);
        let (factor, offset) = scale_and_offset(scales, index);
        let (scale, offset) = (scale * factor, least * offset);
        for (out, (low, high)) in out.iter_mut().zip(low.iter().zip(high)) {
            let number = (low >> shift & 15) | (high >> index & 1) << 4;
            *out = scale * f32::from(number) - offset;
        }
    }
}

/// Four low and two high bits of each number, sixteen scales of a byte, and the scale of these.
#[inline(always)]
pub(super) fn q6(block: &[u8; 210], out: &mut [f32; 256]) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let (scales, factor) = rest.split_at(16);
    let factor = half(factor);
    let mut numbers = [0; 256];
    // A half of the block is four times 32 numbers, which share 64 low bytes and 32 high ones.
    for (index, numbers) in numbers.chunks_exact_mut(32).enumerate() {
        let (side, quarter) = (index / 4, index % 4);
        let low = &low[64 * side + 32 * (quarter % 2)..][..32];
        let high = &high[32 * side..][..32];
        let (low_shift, high_shift) = (4 * (quarter / 2), 2 * quarter);
        for (number, (low, high)) in numbers.iter_mut().zip(low.iter().zip(high)) {
            *number = (low >> low_shift & 15) | (high >> high_shift & 3) << 4;
        }
    }
    let factors: [f32; 16] = std::array::from_fn(
        #[inline(always)]
        |i| factor * f32::from(scales[i] as i8),
    );
    for (i, (out, number)) in out.iter_mut().zip(numbers).enumerate() {
        *out = factors[i / 16] * (f32::from(number) - 32.0);
    }
}
