//! A line chart as SVG: pure functions from numbers to geometry, and the view that draws them.

pub mod axes;
pub mod csv;
pub mod decimate;
mod drawing;
pub mod picture;
mod plot;
pub mod scale;
pub mod series;
pub mod smooth;
pub mod sparkline;
pub mod view;

pub use view::LineChart;
