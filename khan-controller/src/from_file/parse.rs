//! JSON or YAML text in, objects out. Unlike a watch, which skips an object that it cannot use, a file is refused as a whole:
//! its writer is there to mend it.

use khan_serve::yaml;

use crate::kubernetes::{Field, Manifest, Object, ObjectError, Resource};

/// What is wrong with the text, and where.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParseError {
    /// Not JSON.
    #[error("not JSON")]
    Json(#[source] serde_json::Error),
    /// Not YAML.
    #[error("not YAML")]
    Yaml(#[source] yaml::Error),
    /// Well-formed, but without a Kubernetes object.
    #[error(
        "no Kubernetes object in it; it should be the output of kubectl get pods,services,nodes,endpointslices -A -o json"
    )]
    Empty,
    /// An object that cannot be used.
    #[error("{place} ({title}): {source}")]
    Object {
        /// `items[3]`, or `document 2` of a YAML file.
        place: String,
        /// Kind and name.
        title: String,
        /// What is wrong with it.
        source: ObjectError,
    },
}

/// Reads one object, a list of objects of any kinds, or several of either one after another. Other kinds than the
/// [`Resource`]s are passed over.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Object>, ParseError> {
    let mut objects = Vec::new();
    let mut seen = 0;
    for (number, document) in documents(bytes)?.into_iter().enumerate() {
        let place = format!("document {}", number + 1);
        match document.items {
            Field::Absent => {
                // `---` without anything behind it is an empty document.
                if document.kind == Field::Absent && !document.has_metadata() {
                    continue;
                }
                seen += 1;
                objects.extend(read(document, None, || place)?);
            }
            Field::Present(items) => {
                let resource = document.kind.present().and_then(|kind| of_list(kind));
                seen += 1;
                for (number, item) in items.into_iter().enumerate() {
                    let place = || format!("items[{number}]");
                    let manifest = item
                        .optional("the item")
                        .and_then(|item| item.ok_or(ObjectError::Missing("the item")))
                        .map_err(|source| ParseError::Object { place: place(), title: "no object".into(), source })?;
                    objects.extend(read(manifest, resource, place)?);
                }
            }
            Field::WrongType => {
                let source = ObjectError::WrongType { field: "items", expected: "a list" };
                return Err(ParseError::Object { place, title: "List".into(), source });
            }
        }
    }
    if seen == 0 { Err(ParseError::Empty) } else { Ok(objects) }
}

fn documents(bytes: &[u8]) -> Result<Vec<Manifest>, ParseError> {
    // Every JSON object is YAML, but its own parser is faster and its messages are better.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        serde_json::Deserializer::from_slice(bytes).into_iter().collect::<Result<_, _>>().map_err(ParseError::Json)
    } else {
        yaml::read_all(bytes).map_err(ParseError::Yaml)
    }
}

/// `PodList` holds pods, whose own kind the API server leaves out.
fn of_list(kind: &str) -> Option<Resource> {
    Resource::of_kind(kind.strip_suffix("List")?)
}

fn read(
    manifest: Manifest,
    resource: Option<Resource>,
    place: impl FnOnce() -> String,
) -> Result<Option<Object>, ParseError> {
    let kind = manifest.kind.present().cloned();
    let resource = kind.as_ref().map_or(resource, |kind| Resource::of_kind(kind));
    let Some(resource) = resource else {
        if kind.is_some() {
            return Ok(None);
        }
        let (title, source) = (manifest.title(), ObjectError::Missing("kind"));
        return Err(ParseError::Object { place: place(), title, source });
    };
    let title = format!("{} {}", resource.definition().kind, manifest.title());
    Object::read(resource, manifest).map(Some).map_err(|source| ParseError::Object { place: place(), title, source })
}
