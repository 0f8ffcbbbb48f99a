//! A tensor of a model, made of rows of a file's tensors: dequantised, or in the file's own blocks.

use candle_core::Tensor;

use super::file::GgufFile;
use crate::Result;
use crate::quant::Ggml;

/// What a tensor of the model is made of: rows of tensors of the file, one behind the other.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub pieces: Vec<Piece>,
    /// The rows of every piece are shared among so many groups, and it is the groups that lie behind one another.
    pub groups: usize,
    /// The model keeps the matrix as `[in, out]`.
    pub transposed: bool,
}

/// Rows of a tensor of the file.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub tensor: String,
    /// The first row and how many; none if it is the whole tensor.
    pub rows: Option<(usize, usize)>,
    pub form: Form,
}

/// How the file's rows differ from the model's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Same,
    /// In each of so many heads the two rows of a rotated pair are neighbours; in the model each half has one.
    Paired {
        heads: usize,
    },
    /// The matrix of each of so many heads is transposed.
    Transposed {
        heads: usize,
    },
}

impl Piece {
    pub(super) fn whole(tensor: impl Into<String>) -> Piece {
        Piece { tensor: tensor.into(), rows: None, form: Form::Same }
    }

    pub(super) fn in_form(self, form: Form) -> Piece {
        Piece { form, ..self }
    }

    /// The rows as the model has them, `width` wide.
    fn read(&self, file: &GgufFile, width: usize) -> Result<Tensor> {
        let Some(shape) = file.shape(&self.tensor) else { return file.tensor(&self.tensor) };
        let total: usize = shape.iter().product();
        let (start, count) = self.rows.unwrap_or((0, total / width.max(1)));
        // A row of the file is one of the model's, but where a head's matrix is transposed, or a matrix of one row is
        // a vector.
        let fits = shape.len() < 2 || shape.last() == Some(&width) || self.form != Form::Same;
        if !fits || !total.is_multiple_of(width.max(1)) || (start + count) * width > total {
            let message = format!("has shape {shape:?}; by the configuration it should have rows of {width}");
            return Err(file.wrong(&self.tensor, message));
        }
        let rows = file.elements(&self.tensor, start * width..(start + count) * width, &[count, width])?;
        Ok(match self.form {
            Form::Same => rows,
            Form::Paired { heads } => {
                let pairs = rows.reshape((heads, count / heads / 2, 2, width))?;
                pairs.transpose(1, 2)?.contiguous()?.reshape((count, width))?
            }
            Form::Transposed { heads } => {
                let turned = rows.reshape((heads, width, count / heads))?;
                turned.transpose(1, 2)?.contiguous()?.reshape((count, width))?
            }
        })
    }
}

impl Stored {
    pub(super) fn whole(tensor: impl Into<String>) -> Stored {
        Stored::of(vec![Piece::whole(tensor)])
    }

    pub(super) fn of(pieces: Vec<Piece>) -> Stored {
        Stored { pieces, groups: 1, transposed: false }
    }

    /// Reads the tensor; one of more than two dimensions, or of one, is a matrix whose rows are those of the last.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape than the model's.
    pub(super) fn read(&self, file: &GgufFile, shape: &[usize]) -> Result<Tensor> {
        let width = match shape {
            [] | [_] => 1,
            [dim, _] if self.transposed => *dim,
            [.., dim] => *dim,
        };
        let pieces: Result<Vec<Tensor>> = self.pieces.iter().map(|piece| piece.read(file, width)).collect();
        let mut pieces = pieces?;
        let rows: usize = pieces.iter().map(|piece| piece.dims()[0]).sum();
        if rows * width != shape.iter().product::<usize>() {
            let first = &self.pieces[0].tensor;
            let found = file.shape(first).unwrap_or_default();
            let message = format!("has shape {found:?}; by the configuration it should be {shape:?}");
            return Err(file.wrong(first, message));
        }
        let joined = match (pieces.len(), self.groups) {
            (1, _) => pieces.remove(0),
            (_, groups) => {
                let grouped: candle_core::Result<Vec<Tensor>> =
                    pieces.iter().map(|piece| piece.reshape((groups, (), width))).collect();
                Tensor::cat(&grouped?, 1)?
            }
        };
        let matrix = joined.reshape((rows, width))?;
        Ok(if self.transposed { matrix.t()?.contiguous()? } else { matrix.reshape(shape)? })
    }
}

impl Piece {
    /// The first row that is read and how many, of rows of `width`; none if the file has others.
    fn file_rows(&self, file: &GgufFile, width: usize) -> Option<(usize, usize)> {
        let shape = file.shape(&self.tensor).filter(|shape| shape.last() == Some(&width))?;
        // What would have more elements than there can be is no tensor.
        let elements = shape.iter().try_fold(1usize, |elements, dim| elements.checked_mul(*dim))?;
        let total = elements.checked_div(width)?;
        let (start, count) = self.rows.unwrap_or((0, total));
        (start.checked_add(count)? <= total).then_some((start, count))
    }

    /// For each of `count` rows of the model its place among the file's; none if it is not one of these.
    fn order(&self, count: usize) -> Option<Vec<usize>> {
        match self.form {
            Form::Same => Some((0..count).collect()),
            Form::Paired { heads } => {
                let half =
                    count.checked_div(2 * heads).filter(|half| half * 2 * heads == count && *half > 0)?;
                let place = |row: usize| {
                    let (head, within) = (row / (2 * half), row % (2 * half));
                    2 * half * head + 2 * (within % half) + within / half
                };
                Some((0..count).map(place).collect())
            }
            Form::Transposed { .. } => None,
        }
    }
}

impl Stored {
    /// The weight [out, dim] in the blocks that the file has it in; none where it is made of no blocks, or of blocks of
    /// several types, or its rows are not made of whole ones.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn quantised(&self, file: &GgufFile, (out, dim): (usize, usize)) -> Result<Option<Ggml>> {
        let kind = self.pieces.first().and_then(|piece| file.block_type(&piece.tensor));
        let Some((kind, length)) = kind.and_then(|kind| Some((kind, Ggml::row_bytes(kind, dim)?))) else {
            return Ok(None);
        };
        let mut pieces = Vec::new();
        for piece in &self.pieces {
            let same = file.block_type(&piece.tensor) == Some(kind);
            let place =
                piece.file_rows(file, dim).filter(|(_, count)| same && count.is_multiple_of(self.groups));
            let Some((start, count)) = place else { return Ok(None) };
            let Some(order) = piece.order(count) else { return Ok(None) };
            pieces.push((file.bytes(&piece.tensor, start * dim..(start + count) * dim)?.1, order));
        }
        let bytes = match &mut pieces[..] {
            [(bytes, _)] if self.pieces[0].form == Form::Same => std::mem::take(bytes),
            pieces => {
                let mut bytes = Vec::with_capacity(out * length);
                for group in 0..self.groups {
                    for (rows, order) in pieces.iter() {
                        let share = order.len() / self.groups;
                        for row in &order[group * share..][..share] {
                            bytes.extend_from_slice(&rows[row * length..][..length]);
                        }
                    }
                }
                bytes
            }
        };
        Ok(Ggml::new(kind, bytes, out, dim))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::QuantizedWeight;
    use crate::rng::Rng;

    const WIDTH: usize = 64;

    /// A file with tensors of so many rows of `WIDTH` numbers in blocks of Q8_0.
    fn file(tensors: &[(&str, usize)]) -> GgufFile {
        let mut rng = Rng::new(5);
        let (mut header, mut data) = (b"GGUF".to_vec(), Vec::new());
        header.extend(3u32.to_le_bytes());
        header.extend([tensors.len() as u64, 0].map(u64::to_le_bytes).concat());
        for (name, rows) in tensors {
            header.extend((name.len() as u64).to_le_bytes());
            header.extend(name.as_bytes());
            header.extend(2u32.to_le_bytes());
            header.extend([WIDTH as u64, *rows as u64].map(u64::to_le_bytes).concat());
            header.extend(8u32.to_le_bytes());
            header.extend((data.len() as u64).to_le_bytes());
            for _ in 0..rows * WIDTH / 32 {
                data.extend(half::f16::from_f32(0.01).to_le_bytes());
                data.extend((0..32).map(|_| (rng.uniform() * 256.0) as u8));
            }
            data.resize(data.len().next_multiple_of(32), 0);
        }
        header.resize(header.len().next_multiple_of(32), 0);
        let path = tempfile::NamedTempFile::with_suffix(".gguf").unwrap();
        std::fs::write(path.path(), [header, data].concat()).unwrap();
        GgufFile::open(path.path()).unwrap()
    }

    /// Rows of several tensors, in pairs, in groups, and some of one tensor alone.
    #[test]
    fn blocks_are_in_the_order_that_dequantised_rows_are_in() {
        let file = file(&[("q", 16), ("k", 8), ("joint", 40)]);
        let paired = |name: &str, heads: usize| Piece::whole(name).in_form(Form::Paired { heads });
        let part = Piece { rows: Some((8, 8)), ..Piece::whole("joint") };
        let joint = vec![paired("q", 4), paired("k", 2), part.clone()];
        for (stored, rows) in [
            (Stored::whole("joint"), 40),
            (Stored::of(vec![part]), 8),
            (Stored::of(vec![paired("q", 2)]), 16),
            (Stored::of(joint.clone()), 32),
            (Stored { groups: 2, ..Stored::of(joint) }, 32),
        ] {
            let want = stored.read(&file, &[rows, WIDTH]).unwrap();
            let got = stored.quantised(&file, (rows, WIDTH)).unwrap().unwrap().dequantize().unwrap();
            assert_eq!(got.to_vec2::<f32>().unwrap(), want.to_vec2::<f32>().unwrap(), "{stored:?}");
            assert!(stored.quantised(&file, (rows + 1, WIDTH)).unwrap().is_none());
        }
        let turned = Stored::of(vec![Piece::whole("q").in_form(Form::Transposed { heads: 2 })]);
        assert!(turned.quantised(&file, (16, WIDTH)).unwrap().is_none());
    }
}
