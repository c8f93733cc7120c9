//! The same question in PromQL.

use std::time::Duration;

use super::Text;
use crate::model::{GroupEnd, Row};
use crate::screen::format;

/// The question that `row` answers, with the change over `window`; without a row everything.
pub(crate) fn promql(row: Option<&Row>, window: Duration) -> Text {
    let mut labels = Vec::new();
    let mut by = Vec::new();
    if let Some(row) = row {
        for (side, end) in [("src", &row.src), ("dst", &row.dst)] {
            let Some(end) = end.as_ref().filter(|_| side == "src" || !row.fan) else { continue };
            labels.extend(matchers(side, end));
            by.push(format!("{side}_ns"));
            by.push(format!("{side}_app"));
        }
        if let Some(node) = &row.node {
            labels.push(format!("node={node:?}"));
            by.push("node".to_owned());
        }
    }
    labels.push("side=\"client\"".to_owned());
    let selector = format!("khan_connection{{{}}}", labels.join(", "));
    let window = format::span(window);
    let by = if by.is_empty() { String::new() } else { format!(" by ({})", by.join(", ")) };
    Text::Lines(
        "PromQL · y copies".into(),
        vec![
            "# connections now".into(),
            format!("sum{by} ({selector})"),
            String::new(),
            format!("# change over {window}"),
            format!("sum{by} (delta({selector}[{window}]))"),
            String::new(),
            "# the ten largest pairs".into(),
            "topk(10, sum by (src_ns, src_app, dst_ns, dst_app) (khan_connection{side=\"client\"}))".into(),
        ],
    )
}

fn matchers(side: &str, end: &GroupEnd) -> Vec<String> {
    let owner = &end.owner;
    let mut labels = vec![format!("{side}_type=\"{}\"", owner.kind)];
    let fields = [("ns", &owner.ns), ("app", &owner.app), ("name", &owner.name)];
    labels.extend(fields.iter().filter(|(_, value)| !value.is_empty()).map(|(name, v)| format!("{side}_{name}={v:?}")));
    if let Some(ip) = end.ip {
        labels.push(format!("{side}_ip=\"{ip}\""));
    }
    labels
}
