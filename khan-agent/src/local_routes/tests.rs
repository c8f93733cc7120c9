use proptest::prelude::*;

use super::*;

fn range(first: u32, length: u32, lives_here: bool, metric: u32) -> Range {
    let hosts = u128::from(u32::MAX.checked_shr(length).unwrap_or(0));
    let first = u128::from(first) & !hosts;
    Range { first, last: first | hosts, rank: (false, u32::MAX - metric), lives_here }
}

proptest! {
    /// Against the definition: the narrowest range that holds the address, and of equals the one the kernel prefers.
    #[test]
    fn the_narrowest_route_decides(
        routes in proptest::collection::vec((0_u32..64, 26_u32..=32, any::<bool>()), 0..20),
    ) {
        let ranges: Vec<_> =
            (0..).zip(&routes).map(|(metric, (first, length, here))| range(*first, *length, *here, metric)).collect();
        let here = flatten(ranges.clone());
        for address in 0_u128..70 {
            let holding = ranges.iter().filter(|range| (range.first..=range.last).contains(&address));
            let decides = holding.min_by_key(|range| (range.last - range.first, std::cmp::Reverse(range.rank)));
            let told = here.iter().any(|(first, last)| (*first..=*last).contains(&address));
            prop_assert_eq!(told, decides.is_some_and(|range| range.lives_here), "{} in {:?}", address, &ranges);
        }
        prop_assert!(here.is_sorted_by(|a, b| a.1 < b.0), "{:?}", here);
    }
}

#[test]
fn ranges_end_with_the_address_space() {
    let all = Range { first: 0, last: u128::MAX, rank: (false, 0), lives_here: true };
    let last = Range { first: u128::MAX, last: u128::MAX, rank: (false, 0), lives_here: false };
    assert_eq!(flatten(vec![all]), [(0, u128::MAX)]);
    assert_eq!(flatten(vec![all, last]), [(0, u128::MAX - 1)]);
}

fn link(index: u32, kind: &[u8], leaves: bool) -> Interface {
    Interface { index, kind: Kind::named(kind), master: 0, leaves }
}

fn route(destination: [u8; 4], length: u8, interface: u32) -> Route {
    let destination = u32::from_be_bytes(destination).into();
    Route { v4: true, destination, length, own: false, onward: false, interface, metric: 0 }
}

fn contain(routes: &LocalRoutes, ip: [u8; 4]) -> bool {
    routes.contain(Address::from_v4(u32::from_be_bytes(ip)))
}

#[test]
fn addresses_of_services_that_every_node_holds_live_nowhere() {
    let links = [link(2, b"veth\0", true), link(3, b"dummy\0", false)];
    let own = |ip, interface| Route { own: true, ..route(ip, 32, interface) };
    let routes = LocalRoutes::of(&links, &[own([172, 18, 0, 1], 2), own([10, 96, 0, 10], 3)]);
    assert!(contain(&routes, [172, 18, 0, 1]));
    assert!(!contain(&routes, [10, 96, 0, 10]));
}

#[test]
fn open_vswitch_leads_to_own_pods_without_a_gateway_and_to_others_with_one() {
    let links = [link(2, b"openvswitch", false), link(3, b"openvswitch", false)];
    let via = |route| Route { onward: true, ..route };
    let routes = [
        route([10, 10, 1, 0], 24, 2),
        via(route([10, 10, 2, 0], 24, 2)),
        // The node's uplink as a port of another switch.
        route([172, 18, 0, 0], 16, 3),
        via(route([0; 4], 0, 3)),
    ];
    let routes = LocalRoutes::of(&links, &routes);
    assert!(contain(&routes, [10, 10, 1, 5]));
    for elsewhere in [[10, 10, 2, 5], [172, 18, 0, 2], [8, 8, 8, 8]] {
        assert!(!contain(&routes, elsewhere), "{elsewhere:?}");
    }
}
