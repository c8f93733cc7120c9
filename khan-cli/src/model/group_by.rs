//! What makes two connections belong to the same row, and the key that names that row in every view.

use std::fmt;
use std::str::FromStr;

use super::group_end::Grain;

/// Names a group by what it is, not by where it stands: equal in every view and every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(pub u128);

/// The dimensions of a table. Without any, there is one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a dimension of its own")]
pub struct GroupBy {
    /// The client's end.
    pub src: Option<Grain>,
    /// The destination's end: what was dialled, at grain [`Grain::Name`] who answers.
    pub dst: Option<Grain>,
    /// Take who answers for the destination at every grain.
    pub backend: bool,
    /// Who answers, in addition to what was dialled.
    pub behind: Option<Grain>,
    /// The node whose table holds the connections.
    pub node: bool,
    /// The port dialled.
    pub port: bool,
    /// The transport.
    pub protocol: bool,
    /// The state.
    pub state: bool,
}

impl GroupBy {
    /// Source app to destination app and port: the default.
    pub const EDGES: Self = Self { src: Some(Grain::App), dst: Some(Grain::App), port: true, ..Self::NONE };
    /// Source apps.
    pub const SOURCES: Self = Self { src: Some(Grain::App), ..Self::NONE };
    /// Destination apps.
    pub const DESTINATIONS: Self = Self { dst: Some(Grain::App), ..Self::NONE };
    /// Nodes whose tables hold the connections.
    pub const NODES: Self = Self { node: true, ..Self::NONE };
    /// Everything in one row.
    pub const NONE: Self = Self {
        src: None,
        dst: None,
        backend: false,
        behind: None,
        node: false,
        port: false,
        protocol: false,
        state: false,
    };

    /// The words that [`FromStr`] takes, each with its meaning.
    pub const WORDS: [(&'static str, &'static str); 21] = [
        ("src", "source app"),
        ("src-ns", "source namespace"),
        ("src-workload", "source workload"),
        ("src-pod", "source pod"),
        ("src-node", "node of the source"),
        ("src-ip", "source address"),
        ("src-type", "pod, service, node, external, ..."),
        ("dst", "destination app"),
        ("dst-ns", "destination namespace"),
        ("dst-workload", "destination workload"),
        ("dst-pod", "pod that answers; with a backend, the name dialled"),
        ("dst-node", "node of the destination"),
        ("dst-ip", "address dialled"),
        ("dst-type", "pod, service, node, external, ..."),
        ("backend", "app that answers"),
        ("backend-node", "node of the pod that answers"),
        ("backend-ip", "address that answers"),
        ("node", "node whose table holds the connections"),
        ("port", "port dialled"),
        ("protocol", "tcp, udp, sctp"),
        ("state", "ESTABLISHED, TIME_WAIT, ..."),
    ];

    /// Whether the destination's end is taken from the backend.
    pub fn takes_backend(&self) -> bool {
        self.backend || (self.dst == Some(Grain::Name) && self.behind.is_none())
    }
}

/// A word that names no dimension.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupByError {
    /// Not one of [`GroupBy::WORDS`].
    #[error("{0:?} is nothing to group by; choose from {words}", words = GroupBy::WORDS.map(|(word, _)| word).join(", "))]
    Word(String),
    /// Two words for one end.
    #[error(
        "{0:?} names an end that an earlier word names already; a row has one source, one destination and one backend"
    )]
    Twice(String),
}

impl FromStr for GroupBy {
    type Err = GroupByError;

    fn from_str(text: &str) -> Result<Self, GroupByError> {
        let mut group = Self::NONE;
        let mut backend = None;
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let unknown = || GroupByError::Word(word.to_owned());
            let (end, grain) = word.split_once('-').unwrap_or((word, "app"));
            let slot = match end {
                "src" | "source" => &mut group.src,
                "dst" | "destination" => &mut group.dst,
                "backend" => &mut backend,
                flag => {
                    let slot = match flag {
                        "node" => &mut group.node,
                        "port" => &mut group.port,
                        "protocol" | "proto" => &mut group.protocol,
                        "state" => &mut group.state,
                        _ => return Err(unknown()),
                    };
                    if word != flag {
                        return Err(unknown());
                    }
                    *slot = true;
                    continue;
                }
            };
            if slot.replace(grain.parse().map_err(|()| unknown())?).is_some() {
                return Err(GroupByError::Twice(word.to_owned()));
            }
        }
        Ok(match group.dst {
            Some(_) => Self { behind: backend, ..group },
            None => Self { dst: backend, backend: backend.is_some(), ..group },
        })
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |name: &str, grain: Option<Grain>| {
            grain.map(|grain| if grain == Grain::App { name.to_owned() } else { format!("{name}-{}", grain.as_str()) })
        };
        let flag = |name: &str, on: bool| on.then(|| name.to_owned());
        let words = [
            end("src", self.src),
            end(if self.backend { "backend" } else { "dst" }, self.dst),
            end("backend", self.behind),
            flag("node", self.node),
            flag("port", self.port),
            flag("protocol", self.protocol),
            flag("state", self.state),
        ];
        f.write_str(&words.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for (word, _) in GroupBy::WORDS {
            assert_eq!(word.parse::<GroupBy>().unwrap().to_string(), word);
        }
        assert_eq!("src,dst,port".parse(), Ok(GroupBy::EDGES));
        for words in ["dst,backend", "src,dst-ip,backend-node,port", "dst-pod,backend-pod,state"] {
            let group = words.parse::<GroupBy>().unwrap();
            assert_eq!((group.to_string().as_str(), group.takes_backend()), (words, false));
        }
        assert_eq!("backend,dst".parse(), "dst,backend".parse::<GroupBy>());
        assert_eq!("backend,dst,backend-ip".parse::<GroupBy>(), Err(GroupByError::Twice("backend-ip".into())));
        assert_eq!("src , source".parse::<GroupBy>(), Err(GroupByError::Twice("source".into())));
        for bad in ["colour", "src-colour", "port-app", "node-pod"] {
            assert_eq!(bad.parse::<GroupBy>(), Err(GroupByError::Word(bad.into())));
        }
    }
}
