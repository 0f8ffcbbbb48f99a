//! What the pages of data sets show, read by helper processes; and what such a process is protected from.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/place.rs"]
mod place;

mod entries;
mod hostile;
mod rows;
mod shelf;
