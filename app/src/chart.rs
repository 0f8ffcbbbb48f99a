//! A line chart as SVG: pure functions from numbers to geometry, and the view that draws them.

pub mod axes;
pub mod decimate;
pub mod plot;
pub mod scale;
pub mod smooth;
pub mod sparkline;
pub mod view;

pub use plot::Metric;
pub use view::LineChart;
