//! Revisions, epochs, and cursors that are too old.

use std::sync::Arc;

use khan_api::{Cursor, ExternalNames};
use khan_controller::index::Settings;

use crate::manifests::{node, pod};
use crate::world::World;

#[test]
fn a_cursor_is_too_old_once_an_address_it_knew_is_forgotten_altogether() {
    let mut world = World::with(Settings { most_previous: 1, ..Settings::default() });
    let (a, b) = (pod("shop", "a", &["10.244.1.1"]), pod("shop", "b", &["10.244.1.2"]));
    world.apply(&a);
    world.apply(&b);
    let before = world.index.cursor();
    world.delete(&a);
    assert!(!world.index.is_too_old(before), "the previous owner of a says that it is gone");
    let told = world.index.cursor();
    world.delete(&b);
    assert!(world.index.is_too_old(before), "the previous owner of a made room for that of b");
    assert!(!world.index.is_too_old(told), "who knows that a is gone has missed nothing");
}

#[test]
fn other_epochs_and_the_future_are_too_old() {
    let world = World::of(&[pod("shop", "a", &["10.244.1.1"])]);
    let Cursor { epoch, revision } = world.index.cursor();
    assert_eq!((epoch, revision), (7, 1));
    assert!(!world.index.is_too_old(Cursor { epoch, revision }));
    assert!(world.index.is_too_old(Cursor { epoch: 8, revision }));
    assert!(world.index.is_too_old(Cursor { epoch, revision: 2 }));
}

#[test]
fn new_ranges_and_new_outside_names_are_news_for_addresses_without_an_owner() {
    let mut world = World::of(&[pod("shop", "a", &["10.244.1.1"])]);
    let before = world.index.cursor();
    let (owned, stranger) = ("10.244.1.1".parse().unwrap(), "10.244.1.9".parse().unwrap());
    assert!(!world.index.changed_since(stranger, before));
    world.apply(&node("n1", &[], &["10.244.1.0/24"]));
    assert!(world.index.changed_since(stranger, before));
    assert!(!world.index.changed_since(owned, before));
    let before = world.index.cursor();
    let names = Arc::new(ExternalNames::parse("203.0.113.0/24 office").unwrap());
    world.index.name_externals(Arc::clone(&names));
    assert!(world.index.changed_since("203.0.113.1".parse().unwrap(), before));
    assert!(world.index.ranges().contains("203.0.113.0/24"), "so that agents ask for it");
    let before = world.index.cursor();
    world.index.name_externals(names);
    assert_eq!(world.index.cursor(), before, "the same names are no news");
}
