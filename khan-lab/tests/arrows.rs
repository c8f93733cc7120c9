//! In every crate the modules, read from top to bottom in `lib.rs` and in each folder's module file, are the way of the
//! data: a module names only modules that stand above it. An arrow that runs back up makes a circle sooner or later.
//!
//! Read from the sources: `crate::` and `super::` paths wherever they stand, re-exports followed; tests are left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 7] =
    ["khan-api", "khan-serve", "khan-bpf", "khan-agent", "khan-controller", "khan-cli", "khan-lab"];

#[test]
fn arrows_go_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = String::new();
    for name in CRATES {
        let tree = Tree::read(&root.join(name).join("src"));
        assert!(!tree.modules.is_empty(), "no module of {name} was read");
        for arrow in tree.arrows_back() {
            writeln!(found, "  {name}: {arrow}").unwrap();
        }
    }
    assert!(found.is_empty(), "a module names one that stands below it in its parent's file:\n{found}");
}

#[test]
fn an_arrow_back_is_found_however_it_is_written() {
    let sources = [
        ("", "pub mod flows;\n#[cfg(test)]\nmod fixture;\npub mod table;\npub use table::Cells;"),
        ("flows", "mod dump; mod sink; use crate::{table::Cells as Table};"),
        ("flows::dump", "//! [`crate::table`]\nuse super::sink::Sink; fn f() { let _ = \"crate::table\"; }"),
        ("flows::sink", "fn f(_: crate::Cells) {}\n#[cfg(test)]\nmod tests { use crate::table::Cells; }"),
        ("table", "use crate::flows::{self, dump::Dump}; use super::flows::sink;"),
    ];
    let arrows: Vec<String> = Tree::of(sources).arrows_back();
    assert_eq!(
        arrows,
        ["flows names table", "flows::dump names flows::sink", "flows::sink names table"],
        "and nothing from comments, texts, tests or the way of the data"
    );
}

/// The modules of one crate.
#[derive(Default)]
struct Tree {
    modules: BTreeMap<Vec<String>, Module>,
}

/// One module: what it declares, and what it names.
#[derive(Default)]
struct Module {
    /// Its submodules, in order.
    children: Vec<String>,
    /// Names that it hands on from its submodules.
    reexports: BTreeMap<String, Vec<String>>,
    /// Full paths inside the crate that it names.
    paths: Vec<Vec<String>>,
}

impl Tree {
    /// Reads a crate from its `src` folder.
    fn read(src: &Path) -> Self {
        let mut tree = Self::default();
        tree.read_module(src, Vec::new(), &src.join("lib.rs"));
        tree
    }

    fn read_module(&mut self, src: &Path, path: Vec<String>, file: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let module = Module::parse(&text, &path);
        for child in &module.children {
            let below = [path.as_slice(), std::slice::from_ref(child)].concat();
            let file = src.join(below.iter().collect::<PathBuf>()).with_extension("rs");
            // A module written inside its parent's file has been read with it.
            if file.exists() {
                self.read_module(src, below, &file);
            }
        }
        self.modules.insert(path, module);
    }

    /// From texts, for the test of the test.
    fn of<const N: usize>(sources: [(&str, &str); N]) -> Self {
        let split =
            |path: &str| path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        Self { modules: sources.map(|(path, text)| (split(path), Module::parse(text, &split(path)))).into() }
    }

    /// Every arrow that runs back, once, as a sentence.
    fn arrows_back(&self) -> Vec<String> {
        let mut arrows = Vec::new();
        for (from, module) in &self.modules {
            for to in module.paths.iter().map(|path| self.resolve(path)) {
                let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                let (Some(mine), Some(other)) = (from.get(shared), to.get(shared)) else { continue };
                let order = &self.modules[&from[..shared]].children;
                let place = |name: &String| order.iter().position(|child| child == name);
                if let (Some(mine), Some(other)) = (place(mine), place(other))
                    && other > mine
                {
                    arrows.push(format!("{} names {}", from.join("::"), to.join("::")));
                }
            }
        }
        arrows.sort();
        arrows.dedup();
        arrows
    }

    /// The module that a path leads to, through what modules on the way hand on.
    fn resolve(&self, path: &[String]) -> Vec<String> {
        let mut at = Vec::new();
        for (index, part) in path.iter().enumerate() {
            let Some(module) = self.modules.get(&at) else { break };
            if module.children.contains(part) {
                at.push(part.clone());
            } else if let Some(target) = module.reexports.get(part) {
                let rest = [at.as_slice(), target.as_slice(), &path[index + 1..]].concat();
                return if rest == path { at } else { self.resolve(&rest) };
            } else {
                break;
            }
        }
        at
    }
}

impl Module {
    fn parse(text: &str, path: &[String]) -> Self {
        let tokens = without_tests(tokens(text));
        let mut module = Self::default();
        for (index, token) in tokens.iter().enumerate() {
            let after = &tokens[index + 1..];
            match token.as_str() {
                "mod" if after.get(1).is_some_and(|next| next == ";" || next == "{") => {
                    module.children.push(after[0].clone());
                }
                "crate" if after.first().is_some_and(|next| next == "::") => {
                    module.paths.extend(use_tree(&after[1..]).0);
                }
                "super" if after.first().is_some_and(|next| next == "::") && !follows_path(&tokens, index) => {
                    // A second `super` in a row climbs on.
                    let mut up = 1;
                    let mut rest = &after[1..];
                    while rest.first().is_some_and(|next| next == "super") {
                        up += 1;
                        rest = &rest[2..];
                    }
                    let parent = &path[..path.len().saturating_sub(up)];
                    module.paths.extend(use_tree(rest).0.into_iter().map(|tail| [parent, &tail].concat()));
                }
                _ => {}
            }
        }
        for (index, token) in tokens.iter().enumerate() {
            if token == "use" && tokens.get(index + 1).is_some_and(|first| module.children.contains(first)) {
                for target in use_tree(&tokens[index + 1..]).0 {
                    if let Some(name) = target.last().cloned() {
                        module.reexports.insert(name, target);
                    }
                }
            }
        }
        module
    }
}

fn follows_path(tokens: &[String], index: usize) -> bool {
    index > 0 && tokens[index - 1] == "::"
}

/// The paths of `a::{b, c::d as e}` at the start of `tokens`, and how many tokens they take.
fn use_tree(tokens: &[String]) -> (Vec<Vec<String>>, usize) {
    let mut path = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if token == "{" {
            let mut paths = Vec::new();
            at += 1;
            while tokens.get(at).is_some_and(|token| token != "}") {
                let (tails, taken) = use_tree(&tokens[at..]);
                paths.extend(tails.into_iter().map(|tail| [path.as_slice(), &tail].concat()));
                at += taken;
                while tokens.get(at).is_some_and(|token| token != "," && token != "}") {
                    at += 1;
                }
                at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
            }
            return (paths, at + 1);
        }
        if token != "self" {
            path.push(token.clone());
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            break;
        }
        at += 1;
    }
    (vec![path], at.max(1))
}

/// Leaves out what follows `#[cfg(test)]`: one item, to its semicolon or its closing brace.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        kept.push(token);
        if !kept.ends_with(&["#", "[", "cfg", "(", "test", ")", "]"].map(str::to_owned)) {
            continue;
        }
        let mut depth = 0_u32;
        for token in rest.by_ref() {
            match token.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 && (token == ";" || token == "}") {
                break;
            }
        }
    }
    kept
}

/// Words, `::` and single marks; comments and texts are left out.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(inside) = rest.strip_prefix("r#\"") {
            3 + inside.find("\"#").map_or(inside.len(), |end| end + 2)
        } else if first == '"' {
            text_literal(rest)
        } else if first == '\'' {
            char_literal(rest)
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// Bytes of the text literal at the start.
fn text_literal(rest: &str) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return index + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// Bytes of the character literal at the start, or 1 for a lifetime's mark.
fn char_literal(rest: &str) -> usize {
    let inside = &rest[1..];
    if inside.starts_with('\\') {
        return inside[2..].find('\'').map_or(1, |end| end + 4);
    }
    let mut chars = inside.chars();
    match (chars.next(), chars.next()) {
        (Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 1,
    }
}
