//! Rewrites the f32 tensors of a safetensors file as bf16, which halves its size.
//!
//! Usage: `cargo run --release -p engine --example store_bf16 -- IN.safetensors OUT.safetensors`

use std::collections::HashMap;
use std::error::Error;
use std::fs;

use half::bf16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize_to_file};

/// Little-endian f32 bytes to little-endian bf16 bytes, rounded to nearest even.
fn narrowed(bytes: &[u8]) -> Vec<u8> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().flat_map(|&number| bf16::from_f32(f32::from_le_bytes(number)).to_le_bytes()).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        return Err("give two arguments: IN.safetensors OUT.safetensors".into());
    };
    let bytes = fs::read(input).map_err(|e| format!("{input}: {e}"))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| format!("{input}: {e}"))?;
    let mut stored = Vec::new();
    for (name, view) in tensors.tensors() {
        let (dtype, data) = match view.dtype() {
            Dtype::F32 => (Dtype::BF16, narrowed(view.data())),
            other => (other, view.data().to_vec()),
        };
        stored.push((name, dtype, view.shape().to_vec(), data));
    }
    let views = stored
        .iter()
        .map(|(name, dtype, shape, data)| Ok((name, TensorView::new(*dtype, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    serialize_to_file(views, Some(format), output.as_ref())?;
    println!("{output}: {} tensors", stored.len());
    Ok(())
}
