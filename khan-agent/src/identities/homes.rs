//! Where clients live, by number: all that has to be known of them to count their sum once.

use std::collections::HashMap;

use khan_api::{Kind, Name, Owner};

/// The app and name of the sum of many addresses.
pub const OTHER: &str = "__other__";

/// Nodes of clients that were summed. A home is a node's number shifted by one, and whether the client is external. Without a
/// node, everything that is not unknown counts as external: no other node is its home.
#[derive(Debug, Default)]
pub struct KnownHomes {
    numbers: HashMap<Name, u32>,
    nodes: Vec<Name>,
}

impl KnownHomes {
    /// The number of an owner's home.
    pub fn number(&mut self, owner: &Owner) -> u32 {
        if owner.node.is_empty() {
            return u32::from(owner.kind != Kind::Unknown);
        }
        let external = u32::from(owner.kind == Kind::External);
        let number = self.numbers.get(&owner.node).copied().unwrap_or_else(|| {
            self.nodes.push(owner.node.clone());
            let number = u32::try_from(self.nodes.len()).unwrap_or(0);
            self.numbers.insert(owner.node.clone(), number);
            number
        });
        number << 1 | external
    }

    /// Whoever lives there.
    pub fn owner(&self, home: u32) -> Owner {
        let kind = if home & 1 == 1 { Kind::External } else { Kind::Unknown };
        let node = (home >> 1).checked_sub(1).and_then(|number| self.nodes.get(number as usize));
        Owner {
            kind,
            app: OTHER.into(),
            name: OTHER.into(),
            node: node.cloned().unwrap_or_default(),
            ..Owner::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_tells_the_node_and_whether_it_is_outside() {
        let mut homes = KnownHomes::default();
        let owner =
            |kind, name: &str, node: &str| Owner { kind, name: name.into(), node: node.into(), ..Owner::default() };
        let all = [
            owner(Kind::Unknown, "", ""),
            owner(Kind::External, "x", ""),
            owner(Kind::Pod, "a", "n1"),
            owner(Kind::Pod, "b", "n2"),
            owner(Kind::Service, "s", ""),
        ];
        let numbers: Vec<u32> = all.iter().map(|owner| homes.number(owner)).collect();
        assert_eq!(numbers, [0, 1, 2, 4, 1]);
        assert_eq!(homes.number(&owner(Kind::Node, "n2", "n2")), 4);
        for (number, owner) in numbers.into_iter().zip(&all) {
            let many = homes.owner(number);
            assert_eq!((many.node.as_str(), many.app.as_str()), (owner.node.as_str(), OTHER));
            assert_eq!(many.kind == Kind::External, matches!(owner.kind, Kind::External | Kind::Service));
        }
    }
}
