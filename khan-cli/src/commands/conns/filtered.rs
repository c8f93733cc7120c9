//! `--filter`: which addresses to ask about, and which of the connections that nodes list pass.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use khan_api::{Connection, Kind, Protocol};

use crate::model::endpoint::Owner;
use crate::model::filter::{Filter, FilterError, RowTerm, Subject};
use crate::model::groups::select;
use crate::model::state::State;
use crate::model::view::RowRef;
use crate::model::{Endpoint, Pool, Query, Selector, View};
use crate::report::single::Owners;
use khan_serve::exit::Failure;

/// A filter about single connections.
pub(super) struct Filtered<'a> {
    filter: Filter,
    view: &'a View,
    /// Services behind ports of nodes.
    services: HashMap<(IpAddr, u16, Protocol), u32>,
}

/// Reads the filter. There are no rows here: terms about them are refused, unless the filter comes from where it is for every
/// command.
pub(super) fn read(text: &str, typed: bool) -> Result<Filter, Failure> {
    let mut filter: Filter = text.parse().map_err(|error: FilterError| {
        Failure::usage(format_args!("--filter: {error}\n  {text}\n  {}", error.carets()))
    })?;
    let members = filter.row_terms().filter(|(term, _)| matches!(term, RowTerm::Member(..)));
    let members = members.map(|(term, _)| term.to_string());
    let about_rows = filter.group_terms().map(ToString::to_string).chain(members).next();
    match about_rows {
        Some(term) if typed => Err(Failure::usage(format_args!(
            "--filter: {term} is about rows of khan top; khan conns lists single connections"
        ))),
        _ => {
            filter.groups.clear();
            Ok(filter)
        }
    }
}

impl<'a> Filtered<'a> {
    /// A filter that was [`read`].
    pub(super) fn new(filter: Filter, view: &'a View) -> Self {
        let service = |row: RowRef<'_>| {
            let dialled = (view.endpoints[row.dst as usize].ip?, row.row.port, row.row.protocol?);
            Some((dialled, row.service?))
        };
        Self { services: view.rows().filter_map(service).collect(), filter, view }
    }

    /// What is said where nothing passes.
    pub(super) fn nothing(&self, passing: Option<&[Vec<IpAddr>; 2]>) -> Option<String> {
        let [clients, _] = passing?;
        clients.is_empty().then(|| format!("No connections that match {} found.", self.filter))
    }

    /// The clients, and what they dialled or who answers, of connections that pass; `None` where everything passes.
    pub(super) fn ends(&self) -> Option<[Vec<IpAddr>; 2]> {
        if self.filter.is_empty() {
            return None;
        }
        let query = Query { filter: self.filter.clone(), ..Query::default() };
        let [mut clients, mut servers] = [BTreeSet::new(), BTreeSet::new()];
        select(self.view, &query, |row, _, _| {
            let ip = |end: u32| self.view.endpoints[end as usize].ip;
            clients.extend(ip(row.src));
            servers.extend([row.dst, row.backend].into_iter().filter_map(ip));
        });
        Some([clients, servers].map(|ends| ends.into_iter().collect()))
    }

    /// Whether a connection passes that stands in the table of `node`.
    pub(super) fn passes(&self, owners: &Owners<'_>, node: &str, c: &Connection) -> bool {
        let src = end(owners, c, c.src);
        let mut dst = vec![end(owners, c, c.dst), end(owners, c, c.reply_src)];
        let service = self.services.get(&(c.dst, c.dst_port, c.protocol));
        dst.extend(service.map(|service| Arc::clone(&self.view.endpoints[*service as usize])));
        let either = || std::iter::once(&src).chain(&dst);
        let any = |selectors: &[Selector], end: &Endpoint| selectors.iter().any(|selector| selector.matches(end));
        let state = State::from_name(&c.state.as_str().to_ascii_lowercase());
        let holds = |term: &RowTerm| match term {
            RowTerm::Src(selectors) => any(selectors, &src),
            RowTerm::Dst(selectors) => dst.iter().any(|end| any(selectors, end)),
            RowTerm::Any(selectors) => either().any(|end| any(selectors, end)),
            RowTerm::Port(ranges) => {
                let within = |port: u16| ranges.iter().any(|(low, high)| (*low..=*high).contains(&port));
                within(c.dst_port) || within(c.reply_src_port)
            }
            RowTerm::Protocol(protocols) => protocols.contains(&c.protocol),
            RowTerm::State(states) => state.is_some_and(|state| states.iter().any(|term| term.holds(state))),
            RowTerm::Node(globs) => {
                let named = |name: &str| !name.is_empty() && globs.iter().any(|glob| glob.matches(name));
                named(node) || either().any(|end| named(&end.owner.node))
            }
            RowTerm::Like(subject, pattern) => {
                let fits = |end: &Arc<Endpoint>| subject.fits(pattern, end);
                match subject {
                    Subject::Src => fits(&src),
                    Subject::Dst => dst.iter().any(fits),
                    Subject::Node => pattern.fits(node) || either().any(fits),
                    _ => either().any(fits),
                }
            }
            RowTerm::Previous => !c.previous.is_empty(),
            // Refused when it was read.
            RowTerm::Member(..) => false,
        };
        self.filter.rows.iter().all(|clause| clause.holds(&holds))
    }
}

/// Who had the address when the last packet passed.
fn end(owners: &Owners<'_>, c: &Connection, ip: IpAddr) -> Arc<Endpoint> {
    if let Some(previous) = c.previous.iter().find(|endpoint| endpoint.ip == Some(ip)) {
        return Pool::default().endpoint(previous);
    }
    let nobody = || {
        let owner = Owner { kind: Kind::Unknown, ..Owner::default() };
        Arc::new(Endpoint { ip: Some(ip), owner, previous: false, dead: None })
    };
    owners.get(&ip).map_or_else(nobody, |endpoint| Arc::clone(endpoint))
}
