//! What a question needs to know of each end of a connection, so that only sums by those labels are asked for.

use khan_api::Kind;

use crate::model::filter::{RowTerm, Subject};
use crate::model::{Grain, GroupBy, Query, Selector};

/// Labels of one end in addition to its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "a set of labels")]
pub struct Detail {
    /// Namespace.
    pub ns: bool,
    /// App.
    pub app: bool,
    /// Workload, where it is exported.
    pub workload: bool,
    /// Object name.
    pub name: bool,
    /// Address.
    pub ip: bool,
}

impl Detail {
    /// Everything.
    pub const ALL: Self = Self { ns: true, app: true, workload: true, name: true, ip: true };

    fn of(grain: Grain) -> Self {
        let nothing = Self::default();
        match grain {
            Grain::Kind | Grain::Node => nothing,
            Grain::Namespace => Self { ns: true, ..nothing },
            Grain::App => Self { ns: true, app: true, ..nothing },
            Grain::Workload => Self { ns: true, app: true, workload: true, ..nothing },
            Grain::Name => Self { ns: true, app: true, name: true, ip: true, ..nothing },
            Grain::Address => Self::ALL,
        }
    }

    fn for_selector(selector: &Selector) -> Self {
        let nothing = Self::default();
        match selector {
            Selector::Node(_) | Selector::Kind(_) => nothing,
            Selector::Namespace(_) => Self { ns: true, ..nothing },
            // Either of these may match on the others where the first is not set.
            Selector::Pod(..) | Selector::Service(..) => Self { ns: true, name: true, ..nothing },
            Selector::App(..) | Selector::Workload(..) => {
                Self { ns: true, app: true, workload: true, name: true, ..nothing }
            }
            Selector::Address(_) => Self { ip: true, ..nothing },
            Selector::Word(_) => Self::ALL,
        }
    }

    /// What either needs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            ns: self.ns || other.ns,
            app: self.app || other.app,
            workload: self.workload || other.workload,
            name: self.name || other.name,
            ip: self.ip || other.ip,
        }
    }

    /// The classes of this end, which together are everything and have nothing in common: a matcher and labels each. Pods
    /// and services with an app are summed by it; others are distinguished by name, and addresses without an owner one by one.
    pub(super) fn classes(self, end: &str) -> Vec<(String, Vec<String>)> {
        let label = |name: &str| format!("{end}_{name}");
        let labels = |wanted: [bool; 5]| -> Vec<String> {
            let names = ["ns", "app", "workload", "name", "ip"].into_iter().zip(wanted);
            let chosen = names.filter(|(_, wanted)| *wanted).map(|(name, _)| label(name));
            std::iter::once(label("type")).chain(chosen).collect()
        };
        if self == Self::default() {
            return vec![(String::new(), labels([false; 5]))];
        }
        let Self { ns, app, workload, name, ip } = self;
        let named = app || workload || name;
        let owned = format!("{}=~\"{}|{}\"", label("type"), Kind::Pod, Kind::Service);
        let ownable = format!("{}!~\"{}|{}|{}\"", label("type"), Kind::Pod, Kind::Service, Kind::External);
        vec![
            (format!("{owned},{}!=\"\"", label("app")), labels([ns, app, workload, name, ip])),
            (format!("{owned},{}=\"\"", label("app")), labels([ns, false, workload, named, ip])),
            (format!("{}=\"{}\"", label("type"), Kind::External), labels([false, false, false, named, ip])),
            (ownable, labels([false, app, false, named, true])),
        ]
    }
}

/// What is asked of every series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSet {
    /// Of clients.
    pub src: Detail,
    /// Of destinations.
    pub dst: Detail,
    /// The port dialled, where it is exported.
    pub port: bool,
    /// The transport, where it is exported.
    pub transport: bool,
}

impl LabelSet {
    /// What `query` needs.
    pub fn of(query: &Query) -> Self {
        let mut labels = Self::of_group(query.group_by);
        if !query.namespaces.is_empty() {
            labels = labels.and(Self::both(Detail { ns: true, ..Detail::default() }));
        }
        if query.labels.is_some() {
            labels = labels.and(Self::both(Detail { ns: true, name: true, ..Detail::default() }));
        }
        for (term, _) in query.filter.row_terms() {
            let of = |selectors: &[Selector]| {
                selectors.iter().map(Detail::for_selector).fold(Detail::default(), Detail::and)
            };
            labels = labels.and(match term {
                RowTerm::Src(selectors) => Self { src: of(selectors), ..Self::default() },
                RowTerm::Dst(selectors) => Self { dst: of(selectors), ..Self::default() },
                RowTerm::Any(selectors) => Self::both(of(selectors)),
                RowTerm::Port(_) => Self { port: true, ..Self::default() },
                RowTerm::Protocol(_) => Self { transport: true, ..Self::default() },
                RowTerm::Member(group, _) => Self::of_group(*group),
                RowTerm::Like(subject, _) => Self::for_subject(*subject),
                RowTerm::State(_) | RowTerm::Node(_) | RowTerm::Previous => Self::default(),
            });
        }
        labels
    }

    /// What a regular expression is compared with.
    fn for_subject(subject: Subject) -> Self {
        let all = Detail::ALL;
        match subject {
            Subject::Src => Self { src: all, ..Self::default() },
            Subject::Dst => Self { dst: all, ..Self::default() },
            Subject::Any => Self::both(all),
            Subject::Namespace => Self::both(Detail { ns: true, ..Detail::default() }),
            Subject::App => Self::both(Detail { ip: false, ..all }),
            Subject::Pod | Subject::Service => Self::both(Detail { name: true, ..Detail::default() }),
            Subject::Workload => Self::both(Detail { workload: true, ..Detail::default() }),
            Subject::Address => Self::both(Detail { ip: true, ..Detail::default() }),
            Subject::Node => Self::default(),
        }
    }

    fn of_group(group: GroupBy) -> Self {
        let of = |grain: Option<Grain>| grain.map_or(Detail::default(), Detail::of);
        Self {
            src: of(group.src),
            dst: of(group.dst).and(of(group.behind)),
            port: group.port,
            transport: group.protocol,
        }
    }

    fn both(detail: Detail) -> Self {
        Self { src: detail, dst: detail, ..Self::default() }
    }

    /// What either needs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            src: self.src.and(other.src),
            dst: self.dst.and(other.dst),
            port: self.port || other.port,
            transport: self.transport || other.transport,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: Detail = Detail { ns: true, app: true, workload: false, name: false, ip: false };

    #[test]
    fn a_question_needs_what_it_groups_and_filters_by() {
        let labels = LabelSet::of(&Query::default());
        assert_eq!(labels, LabelSet { src: APP, dst: APP, port: true, transport: false });
        let filter = "src:10.0.0.0/8 proto:udp".parse().unwrap();
        let query = Query { group_by: GroupBy::DESTINATIONS, filter, ..Query::default() };
        let src = Detail { ip: true, ..Detail::default() };
        assert_eq!(LabelSet::of(&query), LabelSet { src, dst: APP, port: false, transport: true });
        let query = Query { group_by: GroupBy::NODES, ..Query::default() };
        assert_eq!(LabelSet::of(&query), LabelSet::default());
    }

    #[test]
    fn an_end_that_nobody_asks_about_has_one_class() {
        assert_eq!(Detail::default().classes("src"), [(String::new(), vec!["src_type".to_owned()])]);
        let classes = APP.classes("dst");
        assert_eq!(classes[0].0, "dst_type=~\"pod|service\",dst_app!=\"\"");
        assert_eq!(classes[0].1, ["dst_type", "dst_ns", "dst_app"]);
        assert_eq!(classes[2].1, ["dst_type", "dst_name"]);
        assert_eq!(classes[3].1, ["dst_type", "dst_app", "dst_name", "dst_ip"]);
    }
}
