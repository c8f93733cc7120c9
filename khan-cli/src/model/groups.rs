//! The one way from a view to the rows of a question.
//!
//! ```text
//! view ─▶ select   rows in scope that pass the filter, each with its numbers
//!      ─▶ group    rows of one key become a group; fan_out: groups that differ in their destination only become one
//!      ─▶ measure  how a group changed, and its flags, as far as the past is known
//!      ─▶ rows     order, limit, exact remainder: what is drawn, copied, exported
//! ```

pub(crate) mod sum;

mod keyer;
mod select;

mod group;

mod fan_out;

pub(crate) mod past;
mod measure;
pub(crate) mod rows;

pub(crate) use group::{Group, Groups, group};
pub(crate) use keyer::Keyer;
pub(crate) use select::select;

pub(crate) use past::Past;
pub use rows::{Projection, Row, project};
pub use sum::Sum;
