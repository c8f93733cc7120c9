//! Why an object is refused.

/// What is wrong with an object, and in which field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// A field that every object has is absent or empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field holds another type of value than Kubernetes defines.
    #[error("{field} is not {expected}")]
    WrongType {
        /// Path of the field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A field that holds an address or a range holds something else.
    #[error("{field} is {text:?}, which is not {expected}")]
    Malformed {
        /// Path of the field.
        field: &'static str,
        /// What stands there.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
}
