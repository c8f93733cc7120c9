//! The verdict: in, what each endpoint holds; out, whether that is uneven, and more than chance explains.

use super::load::{Condition, Load};
use super::rule::BalanceRule;

/// One of a thousand services that are spread by chance looks uneven: the logarithm of a thousand.
const CHANCE: f64 = 6.9;

/// What a service's spread amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spread {
    /// One endpoint holds far more than its part, and more than chance would give it.
    Uneven,
    /// An endpoint holds nothing, where chance would give it some.
    Unused,
    /// No endpoint holds far more than its part, and each holds something.
    Even,
    /// Fewer than two endpoints, or so few connections or clients that chance explains what it looks like.
    TooFew,
}

impl Spread {
    /// As the column writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uneven => "UNEVEN",
            Self::Unused => "UNUSED",
            Self::Even => "EVEN",
            Self::TooFew => "TOO FEW",
        }
    }
}

/// The skew of the endpoints that have been ready for long enough, and what it amounts to.
pub(super) fn spread(loads: &[Load], rule: &BalanceRule) -> (Option<f64>, Spread) {
    let ready: Vec<&Load> = loads.iter().filter(|load| load.condition == Condition::Ready).collect();
    let held: u64 = ready.iter().map(|load| load.connections).sum();
    if ready.len() < 2 || held == 0 {
        return (None, Spread::TooFew);
    }
    let largest = ready.iter().max_by_key(|load| load.connections).map_or(0, |load| load.connections);
    let skew = largest as f64 * ready.len() as f64 / held as f64;
    let all: u64 = ready.iter().map(|load| load.weight).sum();
    let improbable = |load: &&&Load| surprise(load.weight, all, ready.len()) > CHANCE + (ready.len() as f64).ln();
    let spread = if held < rule.min {
        Spread::TooFew
    } else if skew >= rule.skew && ready.iter().any(|load| load.connections == largest && improbable(&load)) {
        Spread::Uneven
    } else if ready.iter().any(|load| load.connections == 0 && improbable(&load)) {
        Spread::Unused
    } else if skew >= rule.skew || ready.iter().any(|load| load.connections == 0) {
        Spread::TooFew
    } else {
        Spread::Even
    };
    (Some(skew), spread)
}

/// How little chance explains that one of `n` endpoints got `part` of `all` connections, each of which could have gone to any: minus
/// the logarithm of Chernoff's bound on its probability.
fn surprise(part: u64, all: u64, n: usize) -> f64 {
    let (part, all, fair) = (part as f64, all as f64, 1.0 / n as f64);
    let term = |got: f64, expected: f64| if got > 0.0 { got * (got / expected).ln() } else { 0.0 };
    term(part, all * fair) + term(all - part, all * (1.0 - fair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_explains_what_it_would_do() {
        // All of ten on one of five comes once in two million times; Chernoff's bound is no smaller.
        assert!((surprise(10, 10, 5) - 10.0 * 5_f64.ln()).abs() < 1e-9);
        assert!(surprise(10, 50, 5) < 1e-9, "its fair part");
        assert!((surprise(0, 30, 3) - 30.0 * 1.5_f64.ln()).abs() < 1e-9);
    }
}
