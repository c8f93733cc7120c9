use proptest::prelude::*;

use super::*;
use crate::model::fixture::{Agent, view};
use crate::model::{Grain, History};

fn shop() -> Agent {
    Agent::new("n1", 0)
        .row("shop/web@n1", "data/db@n2", 5432, 10)
        .row("shop/cart@n1", "svc:data/redis", 6379, 30)
        .row("shop/web@n1", "svc:data/redis", 6379, 5)
        .established(3)
        .row("?10.40.7.19", "pay/ledger@n1", 8443, 7)
        .row("1.1.1.1", "edge/ingress@n1", 443, 1)
        .row("1.0.0.1", "edge/ingress@n1", 443, 2)
}

fn ask(query: &Query) -> Projection {
    project(&view(&[shop()]), query, &History::default())
}

fn lines(projection: &Projection) -> Vec<String> {
    projection.rows.iter().map(|r| format!("{} {} {}", r.source(), r.destination(), r.sum.connections)).collect()
}

#[test]
fn groups_are_limited_and_the_rest_is_exact() {
    let projection = ask(&Query { limit: 2, ..Query::default() });
    assert_eq!(lines(&projection), ["shop/cart data/redis 30", "shop/web data/db 10"]);
    assert_eq!((projection.matching, projection.hidden_groups(), projection.hidden.connections), (5, 3, 15));
    assert!((projection.shown_share() - 40.0 / 55.0).abs() < 1e-9);
}

#[test]
fn a_kept_row_is_shown_beyond_the_limit_and_the_rest_stays_exact() {
    let last = ask(&Query::default()).rows.pop().unwrap();
    let projection = ask(&Query { limit: 2, keep: vec![last.key], ..Query::default() });
    assert_eq!(lines(&projection)[2], "external edge/ingress 3");
    assert_eq!((projection.rows.len(), projection.hidden_groups(), projection.hidden.connections), (3, 2, 12));
}

#[test]
fn each_row_counts_the_external_addresses_of_its_own() {
    let agent = shop().row("1.1.1.1", "pay/ledger@n1", 8443, 4);
    let projection = project(&view(&[agent]), &Query::default(), &History::default());
    let outside = projection.rows.iter().filter(|row| row.source().starts_with("external"));
    let mut counts: Vec<_> =
        outside.map(|row| (row.destination().to_owned(), row.src.as_ref().unwrap().addresses)).collect();
    counts.sort();
    assert_eq!(counts, [("edge/ingress".to_owned(), 2), ("pay/ledger".to_owned(), 1)]);
}

#[test]
fn externals_stand_together_and_unknown_ones_alone() {
    let projection = ask(&Query { group_by: GroupBy::SOURCES, ..Query::default() });
    assert_eq!(lines(&projection), ["shop/cart  30", "shop/web  15", "?10.40.7.19  7", "external  3"]);
    assert_eq!(projection.rows[3].src.as_ref().unwrap().addresses, 2);
    assert!(projection.rows[2].has(Flag::Unknown) && !projection.rows[3].has(Flag::Unknown));
}

#[test]
fn filters_count_what_they_let_through() {
    for (text, expected) in [
        ("dst:redis", vec!["shop/cart data/redis 30", "shop/web data/redis 5"]),
        ("dst:redis -src:web", vec!["shop/cart data/redis 30"]),
        ("state:time_wait", vec!["shop/web data/redis 2"]),
        ("src:web conns<=5", vec!["shop/web data/redis 5"]),
        ("is:unknown", vec!["?10.40.7.19 pay/ledger 7"]),
        ("port:400-500", vec!["external edge/ingress 3"]),
        // One address is named.
        ("1.0.0.0/16", vec!["external/1.0.0.1 edge/ingress 2"]),
        ("delta>0", vec![]),
        ("dst:db or src:cart", vec!["shop/cart data/redis 30", "shop/web data/db 10"]),
        ("(src:cart or src:web) -dst:db", vec!["shop/cart data/redis 30", "shop/web data/redis 5"]),
        ("state:time_wait or src:cart", vec!["shop/cart data/redis 30", "shop/web data/redis 2"]),
        ("-(dst:redis or dst:db or dst:edge/*)", vec!["?10.40.7.19 pay/ledger 7"]),
        ("conns>20 or conns<4", vec!["shop/cart data/redis 30", "external edge/ingress 3"]),
        ("src~^ca", vec!["shop/cart data/redis 30"]),
        ("src~^shop/w dst~s$", vec!["shop/web data/redis 5"]),
        ("ns~^(pay|edge)$", vec!["?10.40.7.19 pay/ledger 7", "external edge/ingress 3"]),
        ("ip~^10[.]40[.]", vec!["?10.40.7.19 pay/ledger 7"]),
        ("svc~. app!~^web$", vec!["shop/cart data/redis 30"]),
        ("app~^data/redis$ node~^n1$ src!~art", vec!["shop/web data/redis 5"]),
    ] {
        let projection = ask(&Query { filter: text.parse().unwrap(), ..Query::default() });
        assert_eq!(lines(&projection), expected, "{text}");
    }
    let inverted = ask(&Query { filter: "dst:redis".parse().unwrap(), inverted: true, ..Query::default() });
    assert_eq!(inverted.total.connections, 20);
    let scoped = ask(&Query { namespaces: vec!["pay".into()], ..Query::default() });
    assert_eq!(lines(&scoped), ["?10.40.7.19 pay/ledger 7"]);
}

#[test]
fn a_row_opens_into_exactly_its_own_connections() {
    let query = Query { group_by: GroupBy::SOURCES, ..Query::default() };
    let row = &ask(&query).rows[1];
    let inner = ask(&query.within(row.key, GroupBy { state: true, ..GroupBy::NONE }));
    let states: Vec<_> =
        inner.rows.iter().map(|row| (row.state.map(state::name).unwrap(), row.sum.connections)).collect();
    assert_eq!(states, [("ESTABLISHED", 13), ("TIME_WAIT", 2)]);
    let again = query.within(row.key, GroupBy::EDGES);
    assert_eq!(again.filter.to_string().parse::<Filter>().unwrap(), again.filter);
}

#[test]
fn what_was_dialled_and_who_answers_stand_side_by_side() {
    let agent = Agent::new("n1", 0)
        .row("shop/web@n1", "data/db-0:db@n2", 5432, 1)
        .row("shop/web@n1", "svc:data/db", 5432, 10)
        .but(|row| row.backend = 1)
        .row("shop/cart@n1", "svc:data/db", 5432, 4)
        .but(|row| row.backend = 1);
    let ask = |words: &str| {
        let query = Query { group_by: words.parse().unwrap(), ..Query::default() };
        let rows = project(&view(std::slice::from_ref(&agent)), &query, &History::default()).rows;
        let line = |row: &Row| format!("{} {} {}", row.destination(), row.backend(), row.sum.connections);
        rows.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(ask("dst-type,backend-pod"), ["service data/db-0 14", "pod data/db-0 1"]);
    assert_eq!(ask("src,dst-pod,backend"), ["data/db data/db 10", "data/db data/db 4", "data/db-0 data/db 1"]);
    assert_eq!(ask("dst,backend"), ["data/db data/db 15"]);
    assert_eq!(ask("dst-pod"), ["data/db-0  15"]);
}

#[test]
fn what_was_dialled_at_a_node_port_belongs_to_its_service() {
    use khan_api::ServicePort;
    let mut agent = Agent::new("n1", 0)
        .row("198.51.100.7", "node:n1", 30_080, 5)
        .row("198.51.100.7", "node:n1", 22, 3)
        .row("198.51.100.7", "svc:data/other", 80, 2);
    let port = |port, name: &str| ServicePort { port, protocol: Protocol::Tcp, ns: "shop".into(), name: name.into() };
    agent.snapshot.node_ports = vec![port(30_080, "solo"), port(80, "other")];
    let count = |filter: &str| {
        let query = Query { filter: filter.parse().unwrap(), ..Query::default() };
        project(&view(std::slice::from_ref(&agent)), &query, &History::default()).total.connections
    };
    for (filter, connections) in [
        ("svc/solo", 5),
        ("dst:svc/shop/solo", 5),
        ("dst:ns/shop", 5),
        ("-dst:svc/solo", 5),
        ("src:svc/solo", 0),
        ("svc/data/solo", 0),
        ("node/n1", 8),
        ("svc/other", 2),
    ] {
        assert_eq!(count(filter), connections, "{filter}");
    }
}

#[test]
fn orders_have_a_direction_and_its_reverse() {
    let order = |text: &str| lines(&ask(&Query { sort: text.parse().unwrap(), ..Query::default() }));
    assert_eq!(order("source")[0], "?10.40.7.19 pay/ledger 7");
    assert_eq!(order("-source")[0], "shop/web data/db 10");
    assert_eq!(order("port")[0], "external edge/ingress 3");
    assert_eq!(order("-conns")[0], "external edge/ingress 3");
}

proptest! {
    /// Whatever the limit, rows and remainder add up to everything, and the rows are the first of the full order.
    #[test]
    fn a_limit_cuts_and_changes_nothing(
        counts in proptest::collection::vec((0_u8..6, 0_u8..6, 1_u64..9), 0..40), limit in 1_usize..12,
    ) {
        let mut agent = Agent::new("n1", 0);
        for (src, dst, n) in &counts {
            agent = agent.row(&format!("a/s{src}@n1"), &format!("b/d{dst}@n1"), 80, *n);
        }
        let view = view(&[agent]);
        let cut = project(&view, &Query { limit, ..Query::default() }, &History::default());
        let full = project(&view, &Query { limit: 0, ..Query::default() }, &History::default());
        let mut sum = cut.hidden.connections;
        sum += cut.rows.iter().map(|row| row.sum.connections).sum::<u64>();
        prop_assert_eq!(sum, counts.iter().map(|(_, _, n)| n).sum::<u64>());
        prop_assert_eq!(lines(&cut), lines(&full)[..cut.rows.len()].to_vec());
        prop_assert_eq!(full.matching, cut.rows.len() + cut.hidden_groups());
    }
}

/// Keys are in the JSON output, and users compare them between runs.
#[test]
fn a_row_has_one_key_in_every_process_and_version() {
    let rows = ask(&Query::default()).rows;
    let row = rows.iter().find(|row| (row.source(), row.destination()) == ("shop/web", "data/db")).unwrap();
    assert_eq!(row.key, RowKey(0x70a7_2929_b961_3573_c672_9b9f_5d94_4e91));
}

#[test]
fn a_destination_outside_has_the_share_of_its_ports_that_is_in_use() {
    use khan_api::snapshot::{Snat, SnatPorts};
    let (web, ips) = ("shop/web@n1", ["192.0.2.1", "192.0.2.2"]);
    let mut agent = Agent::new("n1", 0).row(web, ips[0], 443, 5).row(web, ips[0], 80, 5).row(web, ips[1], 443, 5);
    let [src, dst] = ["172.18.0.1", ips[0]].map(|ip| ip.parse().unwrap());
    let ports = SnatPorts { src, dst, port: 443, protocol: Protocol::Tcp, used: 512 };
    agent.snapshot.snat = Some(Snat { range: 600, largest: vec![ports] });
    let by = GroupBy { src: Some(Grain::App), dst: Some(Grain::Address), port: true, ..GroupBy::NONE };
    let rows = project(&view(&[agent]), &Query { group_by: by, ..Query::default() }, &History::default()).rows;
    let mut shares: Vec<_> = rows.iter().map(|row| (row.destination().to_owned(), row.port, row.sum.snat)).collect();
    shares.sort();
    let row = |ip: &str, port, share| (ip.to_owned(), Some(port), share);
    assert_eq!(shares, [row(ips[0], 80, 0), row(ips[0], 443, 853), row(ips[1], 443, 0)]);
}
