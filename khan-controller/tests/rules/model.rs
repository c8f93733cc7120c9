//! The index against a slow and obvious one, under random events; and an agent that follows it by cursors alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use khan_api::{Cidr, Cursor, Kind, Owner, Timestamp};
use khan_controller::index::{Index, Settings};
use khan_controller::kubernetes::{Object, Resource, Role, Uid};
use proptest::prelude::*;
use serde_json::json;

use crate::manifests::{node, pod, service, uid};
use crate::world::{World, read, resource};

const ADDRESSES: [&str; 6] = ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2"];

/// An object: which, in which of its lives, how old, with which addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Draw {
    resource: u8,
    name: u8,
    life: u8,
    age: u8,
    addresses: u8,
    app: bool,
    form: Form,
    ranged: bool,
}

/// What a pod may be besides running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Running,
    Finished,
    OnHostNetwork,
}

impl Draw {
    fn object(self) -> Object {
        let ips: Vec<&str> =
            (0..ADDRESSES.len()).filter(|bit| self.addresses >> bit & 1 == 1).map(|bit| ADDRESSES[bit]).collect();
        let name = format!("{}{}", ["pod", "service", "node"][usize::from(self.resource)], self.name);
        let since = format!("2026-11-22T10:00:{:02}Z", self.age);
        let mut object = match self.resource {
            0 => pod("shop", &name, &ips),
            1 => service("shop", &name, &ips),
            _ => node(&name, &ips, if self.ranged { &["10.0.0.0/30"] } else { &[] }),
        };
        object["metadata"]["uid"] = json!(uid(&format!("{name} {}", self.life)));
        object["metadata"]["creationTimestamp"] = json!(since);
        object["metadata"]["labels"] = json!({"app": if self.app { "x" } else { "y" }});
        if self.resource == 0 {
            object["status"]["startTime"] = json!(since);
            object["status"]["phase"] = json!(if self.form == Form::Finished { "Failed" } else { "Running" });
            object["spec"]["hostNetwork"] = json!(self.form == Form::OnHostNetwork);
        }
        assert_eq!(resource(&object) as u8, self.resource);
        read(&object)
    }
}

#[derive(Clone, Debug)]
enum Event {
    Apply(Draw),
    Delete(Draw),
    Relist(u8, Vec<Draw>),
    /// A list that breaks off in the middle.
    HalfList(u8, Vec<Draw>),
    Wait(u16),
    /// The agent asks.
    Ask,
}

fn draw() -> impl Strategy<Value = Draw> {
    (0..3_u8, 0..3_u8, 0..2_u8, 0..4_u8, 0..64_u8, any::<[bool; 3]>()).prop_map(
        |(resource, name, life, age, addresses, [app, odd, ranged])| Draw {
            resource,
            name,
            life,
            age,
            // Mostly one address, as in reality.
            addresses: if age == 0 { addresses } else { 1 << (addresses % 6) },
            app,
            form: match name {
                0 if odd => Form::Finished,
                1 if odd => Form::OnHostNetwork,
                _ => Form::Running,
            },
            ranged,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let some = || prop::collection::vec(draw(), 0..6);
    prop_oneof![
        8 => draw().prop_map(Event::Apply),
        4 => draw().prop_map(Event::Delete),
        1 => (0..3_u8, some()).prop_map(|(resource, draws)| Event::Relist(resource, draws)),
        1 => (0..3_u8, some()).prop_map(|(resource, draws)| Event::HalfList(resource, draws)),
        1 => (0..2000_u16).prop_map(Event::Wait),
        4 => Just(Event::Ask),
    ]
}

/// What the slow index keeps of an object.
#[derive(Clone, Debug)]
struct Known {
    resource: Resource,
    name: String,
    node: String,
    app: String,
    started: Timestamp,
    claims: BTreeMap<IpAddr, (Role, Timestamp)>,
    ranged: bool,
}

/// Every object in a list; every question answered by looking at all of them.
#[derive(Debug, Default)]
struct Slow {
    objects: BTreeMap<Uid, Known>,
    ever: BTreeSet<(IpAddr, String)>,
}

impl Slow {
    fn apply(&mut self, object: Object, now: Timestamp) {
        let (uid, app) = (object.meta.uid, object.meta.label("app").to_owned());
        let mut known = Known {
            resource: object.resource,
            name: object.meta.name,
            node: object.node,
            app,
            started: object.started.unwrap(),
            claims: BTreeMap::new(),
            ranged: !object.holdings.pods.is_empty(),
        };
        let before = self.objects.remove(&uid);
        for (ip, role) in object.claims {
            let since = match &before {
                None => known.started,
                Some(before) => before.claims.get(&ip).map_or(now, |(_, since)| *since),
            };
            known.claims.entry(ip).and_modify(|claim| claim.0 = claim.0.min(role)).or_insert((role, since));
        }
        if !known.claims.is_empty() || known.ranged {
            self.objects.insert(uid, known);
        }
    }

    /// Best claim first.
    fn claims(&self, ip: IpAddr) -> Vec<(&Uid, &Known)> {
        let mut claims: Vec<_> = self.objects.iter().filter(|(_, known)| known.claims.contains_key(&ip)).collect();
        claims.sort_by_key(|(uid, known)| {
            let age = known.started.seconds();
            let role = known.claims[&ip].0;
            (role, if role == Role::Pod { -age } else { age }, **uid)
        });
        claims
    }

    fn describe(&self, ip: IpAddr) -> String {
        match self.claims(ip).first() {
            Some((_, known)) => {
                let (role, since) = known.claims[&ip];
                format!("{} {} {} {} {}", role.kind(), known.name, known.node, known.app, since)
            }
            None => String::new(),
        }
    }
}

fn describe(index: &Index, ip: IpAddr) -> String {
    index.identity(ip).filter(|identity| identity.owner.kind.is_object()).map_or(String::new(), |identity| {
        let Owner { kind, name, node, app, .. } = identity.owner;
        let app = if kind == Kind::Node { "" } else { app };
        format!("{kind} {name} {node} {app} {}", identity.since.unwrap())
    })
}

/// Asks as an agent does, and knows only what it was told.
#[derive(Debug, Default)]
struct Agent {
    cursor: Option<Cursor>,
    told: BTreeMap<IpAddr, String>,
}

impl Agent {
    fn ask(&mut self, index: &Index, addresses: &[IpAddr]) {
        let since = self.cursor.filter(|cursor| !index.is_too_old(*cursor));
        for ip in addresses {
            if since.is_none_or(|since| index.changed_since(*ip, since)) {
                self.told.insert(*ip, full(index, *ip));
            }
        }
        self.cursor = Some(index.cursor());
    }
}

/// Everything about an address but its history, which fades without being news.
fn full(index: &Index, ip: IpAddr) -> String {
    let owner = index.identity(ip).map(|identity| identity.owner);
    let owner = owner.filter(|owner| owner.kind.is_object() || !owner.node.is_empty());
    owner.map_or(String::new(), |Owner { kind, name, app, node, .. }| format!("{kind} {name} {app} {node}"))
}

fn addresses() -> Vec<IpAddr> {
    ADDRESSES.iter().map(|ip| ip.parse().unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_index_agrees_with_the_slow_one(events in prop::collection::vec(event(), 1..60)) {
        let mut world = World::with(Settings { most_previous: 20, ..Settings::default() });
        let (mut slow, mut agent, all) = (Slow::default(), Agent::default(), addresses());
        for event in events {
            let before: Vec<_> = all.iter().map(|ip| slow.claims(*ip).first().map(|(uid, known)| (**uid, known.name.clone()))).collect();
            let revision = world.index.cursor().revision;
            let texts: Vec<_> = all.iter().map(|ip| full(&world.index, *ip)).collect();
            step(&event, &mut world, &mut slow, &mut agent, &all);
            for ((ip, before), text) in all.iter().zip(before).zip(texts) {
                prop_assert_eq!(describe(&world.index, *ip), slow.describe(*ip), "{} after {:?}", ip, event);
                let claimants = world.index.claimants(*ip).iter().map(|owner| owner.name.to_owned()).collect::<Vec<_>>();
                let expected = slow.claims(*ip).iter().map(|(_, known)| known.name.clone()).collect::<Vec<_>>();
                prop_assert_eq!(claimants, expected, "claimants of {} after {:?}", ip, event);
                let after = slow.claims(*ip).first().map(|(uid, _)| **uid);
                let identity = world.identity(&ip.to_string());
                let previous: Vec<String> = identity.iter().flat_map(|i| &i.previous).map(|p| p.owner.name.to_string()).collect();
                if let Some((uid, name)) = before && after != Some(uid) {
                    prop_assert!(previous.contains(&name), "{} lost by {} is not remembered: {:?}", ip, name, previous);
                }
                prop_assert!(previous.iter().all(|name| slow.ever.contains(&(*ip, name.clone()))));
                if full(&world.index, *ip) != text {
                    prop_assert!(world.index.cursor().revision > revision, "{ip} changed without a revision");
                }
            }
            let counts = world.index.counts();
            for resource in Resource::ALL {
                let count = slow.objects.values().filter(|known| known.resource == resource).count();
                prop_assert_eq!(counts.objects[resource as usize], count);
            }
            let owned = all.iter().filter(|ip| !slow.claims(**ip).is_empty()).count();
            prop_assert_eq!(counts.addresses.iter().sum::<usize>(), owned);
            prop_assert!(counts.previous <= 20);
            let covered: Vec<String> = serde_json::from_str(&world.index.ranges()).unwrap();
            let covered: Vec<Cidr> = covered.iter().map(|range| range.parse().unwrap()).collect();
            for ip in all.iter().filter(|ip| world.index.identity(**ip).is_some()) {
                prop_assert!(covered.iter().any(|range| range.contains(*ip)), "{} is not covered", ip);
            }
        }
        agent.ask(&world.index, &all);
        for ip in &all {
            prop_assert_eq!(&agent.told[ip], &full(&world.index, *ip), "what the agent knows of {}", ip);
        }
    }
}

fn step(event: &Event, world: &mut World, slow: &mut Slow, agent: &mut Agent, all: &[IpAddr]) {
    let apply = |world: &mut World, slow: &mut Slow, draw: Draw| {
        world.index.apply(draw.object(), world.now);
        slow.apply(draw.object(), world.now);
        let known = slow.objects.values().flat_map(|known| known.claims.keys().map(|ip| (*ip, known.name.clone())));
        let known: Vec<_> = known.collect();
        slow.ever.extend(known);
    };
    match event {
        Event::Apply(draw) => apply(world, slow, *draw),
        Event::Delete(draw) => {
            let uid = draw.object().meta.uid;
            world.index.delete(uid, world.now);
            slow.objects.remove(&uid);
        }
        Event::Relist(resource, draws) | Event::HalfList(resource, draws) => {
            let resource = Resource::ALL[usize::from(*resource)];
            world.index.reset(resource);
            let mut listed = BTreeSet::new();
            for draw in draws {
                let draw = Draw { resource: resource as u8, ..*draw };
                apply(world, slow, draw);
                listed.insert(draw.object().meta.uid);
            }
            if matches!(event, Event::Relist(..)) {
                world.index.settle(resource, world.now);
                slow.objects.retain(|uid, known| known.resource != resource || listed.contains(uid));
            }
        }
        Event::Wait(seconds) => {
            world.later(i64::from(*seconds) * 60);
            world.index.expire(world.now);
        }
        Event::Ask => agent.ask(&world.index, all),
    }
}
