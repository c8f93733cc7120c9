//! What the benchmarks share: tables to fill, a drain to compare with, and a clock of CPU time.

pub(crate) mod clock;
pub(crate) mod drain;
pub(crate) mod program;
pub(crate) mod tables;

/// The numbers among the arguments, else these.
pub(crate) fn sizes(default: &[u32]) -> Vec<u32> {
    let sizes: Vec<u32> =
        std::env::args().skip(1).filter_map(|text| text.replace(['_', ','], "").parse().ok()).collect();
    if sizes.is_empty() { default.to_vec() } else { sizes }
}
