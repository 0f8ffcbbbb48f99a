//! What only a browser can do, in one place. On the server each of these does nothing.

#[cfg(not(feature = "hydrate"))]
mod elsewhere;
#[cfg(feature = "hydrate")]
mod here;

#[cfg(not(feature = "hydrate"))]
pub use elsewhere::*;
#[cfg(feature = "hydrate")]
pub use here::*;
