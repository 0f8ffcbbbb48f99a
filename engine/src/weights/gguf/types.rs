//! The types that tensors are stored in, and how they become f32.
//!
//! Block layouts: `ggml-common.h` of the ggml project.

use std::borrow::Cow;
use std::fmt;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Tensor};
use half::f16;

use crate::Result;
use crate::tensor::from_vec;

/// A storage type that can be read.
#[derive(Clone, Copy, Debug)]
pub enum TensorType {
    /// One that candle dequantises.
    Candle(&'static str, GgmlDType),
    Iq4Nl,
    Iq4Xs,
}

const READABLE: &[(u32, TensorType)] = &[
    (0, TensorType::Candle("F32", GgmlDType::F32)),
    (1, TensorType::Candle("F16", GgmlDType::F16)),
    (2, TensorType::Candle("Q4_0", GgmlDType::Q4_0)),
    (3, TensorType::Candle("Q4_1", GgmlDType::Q4_1)),
    (6, TensorType::Candle("Q5_0", GgmlDType::Q5_0)),
    (7, TensorType::Candle("Q5_1", GgmlDType::Q5_1)),
    (8, TensorType::Candle("Q8_0", GgmlDType::Q8_0)),
    (10, TensorType::Candle("Q2_K", GgmlDType::Q2K)),
    (11, TensorType::Candle("Q3_K", GgmlDType::Q3K)),
    (12, TensorType::Candle("Q4_K", GgmlDType::Q4K)),
    (13, TensorType::Candle("Q5_K", GgmlDType::Q5K)),
    (14, TensorType::Candle("Q6_K", GgmlDType::Q6K)),
    (20, TensorType::Iq4Nl),
    (23, TensorType::Iq4Xs),
    (30, TensorType::Candle("BF16", GgmlDType::BF16)),
];

/// Types that exist but are not read.
const OTHERS: &[(u32, &str)] = &[
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

/// Values of the 4-bit codes of IQ4_NL and IQ4_XS, before the scale.
const IQ4_VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

impl TensorType {
    /// The type with a number in the file.
    ///
    /// # Errors
    /// If it is not read: the rest of a sentence about the tensor.
    pub fn by_id(id: u32) -> Result<TensorType, String> {
        if let Some((_, kind)) = READABLE.iter().find(|(known, _)| *known == id) {
            return Ok(*kind);
        }
        let readable: Vec<String> = READABLE.iter().map(|(_, kind)| kind.to_string()).collect();
        let name = OTHERS.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
        let name = name.map_or_else(|| format!("the unknown type {id}"), str::to_owned);
        Err(format!("is stored as {name}; {} can be read", readable.join(", ")))
    }

    /// Elements and bytes of a block.
    fn block(self) -> (usize, usize) {
        match self {
            TensorType::Candle(_, kind) => (kind.block_size(), kind.type_size()),
            TensorType::Iq4Nl => (32, 18),
            TensorType::Iq4Xs => (256, 136),
        }
    }

    /// Bytes of so many elements; none if they do not fill whole blocks.
    pub fn bytes_of(self, count: usize) -> Option<usize> {
        let (elements, bytes) = self.block();
        if count.is_multiple_of(elements) { (count / elements).checked_mul(bytes) } else { None }
    }

    /// A tensor of the given shape from its bytes.
    pub fn dequantize(self, bytes: Vec<u8>, shape: &[usize]) -> Result<Tensor> {
        match self {
            TensorType::Candle(_, kind) => {
                let storage = QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, kind)?;
                Ok(QTensor::new(storage, shape)?.dequantize(&Device::Cpu)?)
            }
            TensorType::Iq4Nl => from_vec(bytes.as_chunks().0.iter().flat_map(iq4_nl).collect(), shape),
            TensorType::Iq4Xs => from_vec(bytes.as_chunks().0.iter().flat_map(iq4_xs).collect(), shape),
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TensorType::Candle(name, _) => name,
            TensorType::Iq4Nl => "IQ4_NL",
            TensorType::Iq4Xs => "IQ4_XS",
        })
    }
}

/// Sixteen bytes hold 32 codes: the low halves first, then the high ones.
fn iq4_codes(bytes: &[u8], scale: f32) -> impl Iterator<Item = f32> {
    let value = move |code: u8| scale * f32::from(IQ4_VALUES[usize::from(code & 15)]);
    bytes.iter().map(move |byte| value(*byte)).chain(bytes.iter().map(move |byte| value(byte >> 4)))
}

/// A scale, then 32 codes.
fn iq4_nl(block: &[u8; 18]) -> [f32; 32] {
    let mut out = [0.0; 32];
    let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
    out.iter_mut().zip(iq4_codes(&block[2..], scale)).for_each(|(out, x)| *out = x);
    out
}

/// A scale, the high two bits of eight 6-bit factors, their low four bits, then eight times 32 codes.
fn iq4_xs(block: &[u8; 136]) -> [f32; 256] {
    let mut out = [0.0; 256];
    let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
    let high = u16::from_le_bytes([block[2], block[3]]);
    for (group, (out, codes)) in out.chunks_exact_mut(32).zip(block[8..].chunks_exact(16)).enumerate() {
        let low = block[4 + group / 2] >> (4 * (group % 2)) & 15;
        let factor = i16::from(low) | ((high >> (2 * group) & 3) << 4) as i16;
        let scale = scale * f32::from(factor - 32);
        out.iter_mut().zip(iq4_codes(codes, scale)).for_each(|(out, x)| *out = x);
    }
    out
}
