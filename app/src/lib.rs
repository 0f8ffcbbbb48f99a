//! The dashboard: pages and components, rendered on the server and hydrated in the browser.
#![recursion_limit = "256"]

pub mod api;
