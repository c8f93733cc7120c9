//! How the connections to a service are spread over its endpoints, those with none included.
//!
//! Whoever keeps connections keeps their endpoints: a backend that came later gets none of them, and nobody sees it, because every
//! connection works. Short ones spread again by themselves and say nothing. So only established TCP connections count, of clients
//! whose connections last: how long that is on average is what is open divided by what ends a second (Little's law).
//!
//! ```text
//! rows dialled at a service ─▶ connections per client and endpoint ─┐
//! its endpoints, from the controller ───────────────────────────────┴─▶ Balance
//! ```

mod rule;
mod load;
mod spread;
mod clients;
mod judge;
mod sentence;

use super::query::Query;
use super::view::View;

pub(crate) use clients::dialled;
pub use judge::Balance;
pub use load::{Condition, Load};
pub use rule::BalanceRule;
pub use spread::Spread;

/// Every service of a view that was dialled and whose endpoints are known, the most uneven first.
pub(crate) fn balances(view: &View, query: &Query, rule: &BalanceRule) -> Vec<Balance> {
    let dialled = clients::clients(view, query).into_iter();
    let judged = dialled.map(|(number, apps)| judge::judge(view, number, apps, rule));
    let mut list: Vec<_> = judged.filter(|balance| balance.connections + balance.short > 0).collect();
    let skew = |balance: &Balance| balance.skew.unwrap_or_default();
    list.sort_by(|a, b| {
        let order = a.spread.cmp(&b.spread).then_with(|| skew(b).total_cmp(&skew(a)));
        order.then_with(|| b.connections.cmp(&a.connections)).then_with(|| a.service.cmp(&b.service))
    });
    list
}

#[cfg(test)]
pub(crate) mod tests;
