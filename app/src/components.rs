//! Parts that pages are made of.

pub mod clock;
pub mod confirm;
pub mod copy_button;
pub mod failure;
pub mod hub_models;
pub mod icon;
pub mod link;
pub mod nav;
pub mod navigate;
pub mod place;
pub mod state_badge;
pub mod switches;
pub mod title;
