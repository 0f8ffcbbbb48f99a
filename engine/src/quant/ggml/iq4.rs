//! Blocks whose numbers of four bits stand for values of a table.

use super::half;

/// What the codes stand for, before the scale.
const VALUES: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0,
];

/// Sixteen bytes hold 32 codes: the low halves first, then the high ones.
#[inline(always)]
fn values(bytes: &[u8], scale: f32, out: &mut [f32]) {
    let codes: [u8; 32] = std::array::from_fn(
        #[inline(always)]
        |i| if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 },
    );
    for (out, code) in out.iter_mut().zip(codes) {
        *out = scale * VALUES[usize::from(code)];
    }
}

/// A scale, then 32 codes.
#[inline(always)]
pub(super) fn nl(block: &[u8; 18], out: &mut [f32; 32]) {
    values(&block[2..], half(block), out);
}

/// A scale, the high two bits of eight 6-bit factors, their low four bits, then eight times 32 codes.
#[inline(always)]
pub(super) fn xs(block: &[u8; 136], out: &mut [f32; 256]) {
    let scale = half(block);
    let high = u16::from_le_bytes([block[2], block[3]]);
    for (group, (out, codes)) in out.chunks_exact_mut(32).zip(block[8..].chunks_exact(16)).enumerate() {
        let low = u16::from(block[4 + group / 2] >> (4 * (group % 2)) & 15);
        let factor = low | (high >> (2 * group) & 3) << 4;
        values(codes, scale * (f32::from(factor) - 32.0), out);
    }
}
