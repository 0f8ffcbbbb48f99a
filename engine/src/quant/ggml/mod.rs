//! Block types of ggml, in which GGUF files hold weights: rows of blocks, each with scales of its own.
//!
//! Block layouts: `ggml-common.h` of the ggml project; numbers are those of its `dequantize_row_*`, bit for bit.

mod iq4;
mod k;
mod plain;

use std::fmt;
use std::ops::Range;

use half::f16;

use super::QuantizedWeight;
use crate::kernel::simd;

/// How a block of numbers is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockType {
    /// Four bits and a scale.
    Q4_0,
    /// Four bits, a scale and a minimum.
    Q4_1,
    /// Five bits and a scale.
    Q5_0,
    /// Five bits, a scale and a minimum.
    Q5_1,
    /// Eight bits and a scale.
    Q8_0,
    /// Two bits; scales and minima of 16 blocks have four bits.
    Q2K,
    /// Three bits; scales of 16 blocks have six bits.
    Q3K,
    /// Four bits; scales and minima of 8 blocks have six bits.
    Q4K,
    /// Five bits; scales and minima of 8 blocks have six bits.
    Q5K,
    /// Six bits; scales of 16 blocks have eight bits.
    Q6K,
    /// Four bits that mean numbers of a table, and a scale.
    Iq4Nl,
    /// The same; scales of 8 blocks have six bits.
    Iq4Xs,
}

/// Each type with its name, its number in files, and how many elements and bytes a block has.
const TYPES: &[(BlockType, &str, u32, (usize, usize))] = &[
    (BlockType::Q4_0, "Q4_0", 2, (32, 18)),
    (BlockType::Q4_1, "Q4_1", 3, (32, 20)),
    (BlockType::Q5_0, "Q5_0", 6, (32, 22)),
    (BlockType::Q5_1, "Q5_1", 7, (32, 24)),
    (BlockType::Q8_0, "Q8_0", 8, (32, 34)),
    (BlockType::Q2K, "Q2_K", 10, (256, 84)),
    (BlockType::Q3K, "Q3_K", 11, (256, 110)),
    (BlockType::Q4K, "Q4_K", 12, (256, 144)),
    (BlockType::Q5K, "Q5_K", 13, (256, 176)),
    (BlockType::Q6K, "Q6_K", 14, (256, 210)),
    (BlockType::Iq4Nl, "IQ4_NL", 20, (32, 18)),
    (BlockType::Iq4Xs, "IQ4_XS", 23, (256, 136)),
];

impl BlockType {
    /// The type with a number in the file, if it is one of these.
    pub fn by_id(id: u32) -> Option<BlockType> {
        TYPES.iter().find(|(_, _, known, _)| *known == id).map(|(kind, ..)| *kind)
    }

    /// All types.
    pub fn all() -> impl Iterator<Item = BlockType> {
        TYPES.iter().map(|(kind, ..)| *kind)
    }

    /// Elements and bytes of a block.
    pub fn block(self) -> (usize, usize) {
        TYPES.iter().find(|(kind, ..)| *kind == self).map_or((1, 1), |(.., block)| *block)
    }

    /// Dequantises whole blocks.
    pub fn dequantize(self, bytes: &[u8], out: &mut [f32]) {
        simd(
            #[inline(always)]
            || match self {
                BlockType::Q4_0 => each(bytes, out, plain::q4_0),
                BlockType::Q4_1 => each(bytes, out, plain::q4_1),
                BlockType::Q5_0 => each(bytes, out, plain::q5_0),
                BlockType::Q5_1 => each(bytes, out, plain::q5_1),
                BlockType::Q8_0 => each(bytes, out, plain::q8_0),
                BlockType::Q2K => each(bytes, out, k::q2),
                BlockType::Q3K => each(bytes, out, k::q3),
                BlockType::Q4K => each(bytes, out, k::q4),
                BlockType::Q5K => each(bytes, out, k::q5),
                BlockType::Q6K => each(bytes, out, k::q6),
                BlockType::Iq4Nl => each(bytes, out, iq4::nl),
                BlockType::Iq4Xs => each(bytes, out, iq4::xs),
            },
        );
    }
}

impl fmt::Display for BlockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TYPES.iter().find(|(kind, ..)| kind == self).map_or("", |(_, name, ..)| name))
    }
}

/// Dequantises blocks of `B` bytes to `N` numbers.
#[inline(always)]
fn each<const B: usize, const N: usize>(
    bytes: &[u8],
    out: &mut [f32],
    block: impl Fn(&[u8; B], &mut [f32; N]),
) {
    for (bytes, out) in bytes.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        block(bytes, out);
    }
}

/// A number of 16 bits at the start of some bytes.
#[inline(always)]
fn half(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// A weight whose rows are whole blocks.
#[derive(Debug)]
pub struct Ggml {
    kind: BlockType,
    out: usize,
    dim: usize,
    bytes: Vec<u8>,
}

impl Ggml {
    /// A weight [out, dim]; none if rows are not whole blocks, or `bytes` has another length.
    pub fn new(kind: BlockType, bytes: Vec<u8>, out: usize, dim: usize) -> Option<Ggml> {
        let fits = Ggml::row_bytes(kind, dim).is_some_and(|row| row.checked_mul(out) == Some(bytes.len()));
        fits.then_some(Ggml { kind, out, dim, bytes })
    }

    /// Bytes of a row of `dim` elements; none if it is not made of whole blocks.
    pub fn row_bytes(kind: BlockType, dim: usize) -> Option<usize> {
        let (elements, bytes) = kind.block();
        if dim.is_multiple_of(elements) { (dim / elements).checked_mul(bytes) } else { None }
    }
}

impl QuantizedWeight for Ggml {
    fn dims(&self) -> (usize, usize) {
        (self.out, self.dim)
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn dequantize_rows(&self, rows: Range<usize>, out: &mut [f32]) {
        let row = self.bytes.len() / self.out.max(1);
        self.kind.dequantize(&self.bytes[rows.start * row..rows.end * row], out);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use candle_core::Device;
    use candle_core::quantized::{GgmlDType, QStorage, QTensor};

    use super::*;
    use crate::rng::Rng;

    /// candle has all of these but the IQ types, which golden files test.
    #[test]
    fn numbers_are_those_of_candle() {
        for (kind, theirs) in [
            (BlockType::Q4_0, GgmlDType::Q4_0),
            (BlockType::Q4_1, GgmlDType::Q4_1),
            (BlockType::Q5_0, GgmlDType::Q5_0),
            (BlockType::Q5_1, GgmlDType::Q5_1),
            (BlockType::Q8_0, GgmlDType::Q8_0),
            (BlockType::Q2K, GgmlDType::Q2K),
            (BlockType::Q3K, GgmlDType::Q3K),
            (BlockType::Q4K, GgmlDType::Q4K),
            (BlockType::Q5K, GgmlDType::Q5K),
            (BlockType::Q6K, GgmlDType::Q6K),
        ] {
            let (elements, size) = kind.block();
            assert_eq!((elements, size), (theirs.block_size(), theirs.type_size()), "{kind}");
            let mut rng = Rng::new(7);
            let mut bytes: Vec<u8> = (0..5 * size).map(|_| (rng.uniform() * 256.0) as u8).collect();
            // Scales are some of the numbers of 16 bits: none of them may be infinite.
            bytes.iter_mut().for_each(|byte| *byte &= 0xbf);
            let storage = QStorage::from_data(Cow::Owned(bytes.clone()), &Device::Cpu, theirs).unwrap();
            let want = QTensor::new(storage, 5 * elements).unwrap().dequantize(&Device::Cpu).unwrap();
            let mut got = vec![0.0; 5 * elements];
            kind.dequantize(&bytes, &mut got);
            assert_eq!(got, want.to_vec1::<f32>().unwrap(), "{kind}");
        }
    }
}
