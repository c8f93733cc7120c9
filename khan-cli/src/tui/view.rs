//! Frames out of a model. Nothing here changes anything.

mod pen;

pub use pen::Pen;
