//! Where the heads of queries, keys and values lie in the columns of a row-major buffer.

use crate::gemm::{Elements, MatMut, MatRef};

/// Columns of heads: `group` neighbours, `dim` apart, in stretches `step` apart.
///
/// Published models store their joint projections in several orders: all queries, then all keys, then all
/// values; or head by head; or group by group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// First column of the first head.
    pub start: usize,
    /// Heads that are neighbours.
    pub group: usize,
    /// Columns from the start of one group to that of the next.
    pub step: usize,
    /// Columns from one head to its neighbour.
    pub dim: usize,
}

impl Columns {
    /// Heads of `dim` columns side by side from column `start` on.
    pub fn adjacent(start: usize, dim: usize) -> Self {
        Columns { start, group: 1, step: dim, dim }
    }

    /// First column of a head.
    pub fn of(&self, head: usize) -> usize {
        self.start + head / self.group * self.step + head % self.group * self.dim
    }
}

/// A buffer whose rows hold heads.
#[derive(Clone, Copy)]
pub struct Heads<'a> {
    /// All rows, end to end.
    pub data: &'a [f32],
    /// Floats from one row to the next.
    pub stride: usize,
    /// Where in a row the heads lie.
    pub columns: Columns,
}

impl<'a> Heads<'a> {
    pub(super) fn head(&self, row: usize, rows: usize, head: usize, dim: usize) -> MatRef<'a> {
        let offset = (row * self.stride + self.columns.of(head)).min(self.data.len());
        MatRef::new(Elements::F32(&self.data[offset..]), rows, dim, self.stride)
    }

    pub(super) fn row(&self, row: usize, head: usize, dim: usize) -> &'a [f32] {
        let offset = row * self.stride + self.columns.of(head);
        &self.data[offset..offset + dim]
    }
}

/// Like [`Heads`], written to by several threads: each owns the columns of its heads.
#[derive(Clone, Copy)]
pub(super) struct HeadsMut {
    data: *mut f32,
    len: usize,
    stride: usize,
    columns: Columns,
}

// SAFETY: tasks write disjoint heads of disjoint sequences.
unsafe impl Send for HeadsMut {}
// SAFETY: as above.
unsafe impl Sync for HeadsMut {}

impl HeadsMut {
    pub(super) fn new(data: &mut [f32], stride: usize, columns: Columns) -> Self {
        HeadsMut { data: data.as_mut_ptr(), len: data.len(), stride, columns }
    }

    /// Other columns of the same buffer.
    pub(super) fn with(self, columns: Columns) -> Self {
        HeadsMut { columns, ..self }
    }

    /// # Safety
    /// No other reference to these rows of this head may be in use.
    pub(super) unsafe fn head<'a>(&self, row: usize, rows: usize, head: usize, dim: usize) -> MatMut<'a> {
        let offset = row * self.stride + self.columns.of(head);
        assert!(rows == 0 || offset + (rows - 1) * self.stride + dim <= self.len);
        // SAFETY: in bounds by the assertion, exclusive by the caller's promise.
        unsafe { MatMut::from_raw(self.data.add(offset), rows, dim, self.stride) }
    }

    /// One row of a head.
    ///
    /// # Safety
    /// As of [`HeadsMut::head`].
    pub(super) unsafe fn row<'a>(&self, row: usize, head: usize, dim: usize) -> &'a mut [f32] {
        let offset = row * self.stride + self.columns.of(head);
        assert!(offset + dim <= self.len);
        // SAFETY: in bounds by the assertion, exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(offset), dim) }
    }

    /// Copies `data`, rows of `dim`, to a head from `row` on.
    ///
    /// # Safety
    /// As of [`HeadsMut::head`].
    pub(super) unsafe fn write_head(&self, row: usize, head: usize, dim: usize, data: &[f32]) {
        let offset = row * self.stride + self.columns.of(head);
        assert!(data.is_empty() || offset + (data.len() / dim - 1) * self.stride + dim <= self.len);
        for (row, data) in data.chunks_exact(dim).enumerate() {
            // SAFETY: in bounds by the assertion, exclusive by the caller's promise.
            unsafe { self.data.add(offset + row * self.stride).copy_from_nonoverlapping(data.as_ptr(), dim) };
        }
    }

    /// # Safety
    /// No other thread may use this element.
    pub(super) unsafe fn write(&self, index: usize, value: f32) {
        assert!(index < self.len);
        // SAFETY: in bounds by the assertion, exclusive by the caller's promise.
        unsafe { self.data.add(index).write(value) };
    }
}
