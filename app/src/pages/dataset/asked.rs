//! What the page of a data set asks the server for.

use leptos::prelude::*;
use wire::{Check, EncodedRow, LengthHistogram, Preview};

use super::encoding::Offer;
use super::look::{self, Look};
use crate::calls;
use crate::calls::CallError;

/// An answer of the board that is not there before a row is chosen.
pub type Encoded = Resource<Option<Result<EncodedRow, CallError>>>;

/// What the page asks the server for, each by itself.
#[derive(Clone, Copy)]
pub struct Asked {
    pub offer: Resource<Result<Offer, CallError>>,
    pub preview: Resource<Result<Preview, CallError>>,
    pub encoded: Encoded,
    pub lengths: Resource<Result<LengthHistogram, CallError>>,
    pub check: Resource<Result<Check, CallError>>,
}

impl Asked {
    pub fn new(look: Memo<Look>) -> Asked {
        let offer = Resource::new(|| (), |()| async { calls::choices().await.map(Offer::new) });
        let name = move || look.with(|look| look.name.clone());
        let encoded = move |(name, row, settings): (String, Option<u64>, look::Settings)| async move {
            let encoding = match offer.await {
                Ok(offer) => offer.encoding(&settings),
                Err(error) => return row.map(|_| Err(error)),
            };
            match row {
                Some(row) => Some(calls::dataset_encode(name, row, encoding).await),
                None => None,
            }
        };
        Asked {
            offer,
            preview: Resource::new(
                move || look.with(|look| (look.name.clone(), look.first)),
                |(name, first)| calls::dataset_preview(name, first),
            ),
            encoded: Resource::new(
                move || look.with(|look| (look.name.clone(), look.row, look.settings.clone())),
                encoded,
            ),
            lengths: Resource::new(
                move || (name(), look.with(|look| look.settings.clone())),
                move |(name, settings)| async move {
                    let encoding = offer.await?.encoding(&settings);
                    calls::dataset_lengths(name, encoding).await
                },
            ),
            check: Resource::new(
                move || (name(), look.with(|look| look.settings.clone())),
                move |(name, settings)| async move {
                    let encoding = offer.await?.encoding(&settings);
                    calls::dataset_check(name, encoding).await
                },
            ),
        }
    }

    /// Asks for everything again.
    pub fn again(self) {
        self.offer.refetch();
        self.preview.refetch();
        self.encoded.refetch();
        self.lengths.refetch();
        self.check.refetch();
    }
}
