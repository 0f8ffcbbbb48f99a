//! The routes over real connections.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/place.rs"]
mod place;

mod access;
mod board;
mod limits;
mod pages;
mod uploads;
mod watchers;
