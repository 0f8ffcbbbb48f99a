//! The processes that train one model together, each on its share of every step.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// Numbers by name.
pub type Numbers = BTreeMap<String, Vec<f64>>;

/// One of these processes, and its line to the others. Whatever a method is called for, each of them calls it, in the
/// same order.
pub trait World: Send + Sync {
    /// The number of this process, from 0. The first one writes what is written.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Replaces each number by its sum over all processes; all of them get the same bits.
    ///
    /// # Errors
    /// If another process is gone.
    fn sum(&self, numbers: &mut [f32]) -> Result<()>;

    /// What each process says, in the order of their numbers.
    ///
    /// # Errors
    /// If another process is gone.
    fn gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>>;
}

impl dyn World + '_ {
    /// Whether this process is the one that writes.
    pub fn writes(&self) -> bool {
        self.rank() == 0
    }

    /// Whether batch number `index` is this process's, as accelerate deals them out: one to each in turn.
    pub fn takes(&self, index: usize) -> bool {
        index % self.size() == self.rank()
    }

    /// What each process has, in the order of their numbers.
    ///
    /// # Errors
    /// If another process is gone, or of another version.
    pub fn exchange(&self, own: Numbers) -> Result<Vec<Numbers>> {
        if self.size() == 1 {
            return Ok(vec![own]);
        }
        let garbled = |error: serde_json::Error| {
            Error::Training(format!("processes that train together do not understand each other: {error}"))
        };
        // JSON has no infinities: numbers go as their bits.
        let bits = |numbers: Vec<f64>| numbers.into_iter().map(f64::to_bits).collect::<Vec<u64>>();
        let numbers = |bits: Vec<u64>| bits.into_iter().map(f64::from_bits).collect();
        let own: BTreeMap<String, Vec<u64>> = own.into_iter().map(|(name, own)| (name, bits(own))).collect();
        let said = self.gather(serde_json::to_vec(&own).map_err(garbled)?)?;
        let read = |said: &Vec<u8>| {
            let said: BTreeMap<String, Vec<u64>> = serde_json::from_slice(said).map_err(garbled)?;
            Ok(said.into_iter().map(|(name, said)| (name, numbers(said))).collect())
        };
        said.iter().map(read).collect()
    }

    /// Whether any process says so.
    ///
    /// # Errors
    /// If another process is gone.
    pub fn any(&self, flag: bool) -> Result<bool> {
        Ok(self.gather(vec![u8::from(flag)])?.iter().any(|said| said == &[1]))
    }

    /// Waits until all processes are here.
    ///
    /// # Errors
    /// If another process is gone.
    pub fn meet(&self) -> Result<()> {
        self.gather(Vec::new()).map(drop)
    }
}

/// A process that trains by itself.
pub struct Alone;

impl World for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&self, _numbers: &mut [f32]) -> Result<()> {
        Ok(())
    }

    fn gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        Ok(vec![message])
    }
}
