//! What was asked, in words, for sentences about what was not found.

/// ` in namespace shop`, for the end of a sentence; nothing without namespaces.
pub(crate) fn in_namespaces(namespaces: &[String]) -> String {
    match namespaces {
        [] => String::new(),
        [one] => format!(" in namespace {one}"),
        many => format!(" in namespaces {}", many.join(", ")),
    }
}
