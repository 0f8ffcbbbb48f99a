//! The types that tensors are stored in, and how they become f32.

use std::fmt;

use candle_core::Tensor;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::Result;
use crate::quant::BlockType;
use crate::tensor::from_vec;

/// A storage type that can be read.
#[derive(Clone, Copy, Debug)]
pub(super) enum TensorType {
    F32,
    F16,
    Bf16,
    Blocks(BlockType),
}

/// Types of single numbers, each with its number in the file.
const PLAIN: [(u32, TensorType); 3] = [(0, TensorType::F32), (1, TensorType::F16), (30, TensorType::Bf16)];

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

impl TensorType {
    /// The type with a number in the file.
    ///
    /// # Errors
    /// If it is not read: the rest of a sentence about the tensor.
    pub(super) fn by_id(id: u32) -> Result<TensorType, String> {
        if let Some((_, kind)) = PLAIN.iter().find(|(known, _)| *known == id) {
            return Ok(*kind);
        }
        if let Some(kind) = BlockType::by_id(id) {
            return Ok(TensorType::Blocks(kind));
        }
        let readable = PLAIN.iter().map(|(_, kind)| kind.to_string());
        let readable: Vec<String> = readable.chain(BlockType::all().map(|kind| kind.to_string())).collect();
        let name = OTHERS.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
        let name = name.map_or_else(|| format!("the unknown type {id}"), str::to_owned);
        Err(format!("is stored as {name}; {} can be read", readable.join(", ")))
    }

    /// Elements and bytes of a block.
    fn block(self) -> (usize, usize) {
        match self {
            TensorType::F32 => (1, 4),
            TensorType::F16 | TensorType::Bf16 => (1, 2),
            TensorType::Blocks(kind) => kind.block(),
        }
    }

    /// Bytes of so many elements; none if they do not fill whole blocks.
    pub(super) fn bytes_of(self, count: usize) -> Option<usize> {
        let (elements, bytes) = self.block();
        if count.is_multiple_of(elements) { (count / elements).checked_mul(bytes) } else { None }
    }

    /// A tensor of the given shape from its bytes.
    pub(super) fn dequantize(self, bytes: &[u8], shape: &[usize]) -> Result<Tensor> {
        let mut values = vec![0.0; shape.iter().product()];
        match self {
            TensorType::F32 => {
                let bytes = bytes.as_chunks().0;
                values.iter_mut().zip(bytes).for_each(|(x, bytes)| *x = f32::from_le_bytes(*bytes));
            }
            TensorType::F16 => {
                let halves = bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes));
                halves.collect::<Vec<_>>().convert_to_f32_slice(&mut values);
            }
            TensorType::Bf16 => {
                let halves = bytes.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes));
                halves.collect::<Vec<_>>().convert_to_f32_slice(&mut values);
            }
            TensorType::Blocks(kind) => kind.dequantize(bytes, &mut values),
        }
        from_vec(values, shape)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TensorType::F32 => f.write_str("F32"),
            TensorType::F16 => f.write_str("F16"),
            TensorType::Bf16 => f.write_str("BF16"),
            TensorType::Blocks(kind) => kind.fmt(f),
        }
    }
}
