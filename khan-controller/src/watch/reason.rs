//! Why a list or watch failed, in a word for metrics and a sentence for people.

use kube::core::Status;
use kube::runtime::watcher;

use crate::kubernetes::Resource;

/// A failure of the watcher, understood.
#[derive(Debug)]
pub(super) struct Failure {
    /// The value of the label `reason`.
    pub(super) reason: &'static str,
    /// What to tell people.
    pub(super) sentence: String,
    /// The server takes no request at present, whatever it asks for: nobody listens, it is busy, or it wants other
    /// credentials. Another way of listing would fare no better.
    pub(super) is_of_any_request: bool,
}

impl Failure {
    /// Nothing came for too long while a list was read.
    pub(super) fn silence(resource: Resource) -> Self {
        let sentence = format!("listing {resource} stalled");
        Self { reason: "silence", sentence, is_of_any_request: false }
    }

    /// The stream ended before its list was complete.
    pub(super) fn unfinished(resource: Resource) -> Self {
        let sentence = format!("cannot list {resource}: the stream ended before the list was complete");
        Self { reason: "connection", sentence, is_of_any_request: false }
    }

    pub(super) fn new(resource: Resource, error: &watcher::Error) -> Self {
        let (verb, status) = match error {
            watcher::Error::InitialListFailed(error) => ("list", api_status(error)),
            watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => {
                ("watch", api_status(error))
            }
            watcher::Error::WatchError(status) => ("watch", Some(&**status)),
            watcher::Error::NoResourceVersion => ("watch", None),
        };
        let code = status.map_or(0, |status| status.code);
        let reason = match code {
            401 => "unauthorized",
            403 => "forbidden",
            404 => "not_found",
            410 => "gone",
            429 => "throttled",
            400..=499 => "refused",
            500..=599 => "server_error",
            _ if is_malformed(error) => "malformed",
            _ => "connection",
        };
        let sentence = if code == 403 {
            let group = resource.definition().group;
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            format!("not allowed to {verb} {resource}: grant the verbs list and watch on {resource}{group}")
        } else {
            let detail = status.map_or_else(
                || khan_serve::exit::chain(error),
                |status| format!("{} ({})", status.message, status.code),
            );
            format!("cannot {verb} {resource}: {detail}")
        };
        let is_of_any_request = matches!(code, 401 | 429) || is_connection_refused(error);
        Self { reason, sentence, is_of_any_request }
    }
}

fn is_connection_refused(error: &watcher::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn api_status(error: &kube::Error) -> Option<&Status> {
    match error {
        kube::Error::Api(status) => Some(status),
        _ => None,
    }
}

fn is_malformed(error: &watcher::Error) -> bool {
    use kube::Error::{FromUtf8, LinesCodecMaxLineLengthExceeded, SerdeError};
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => {
            matches!(error, SerdeError(_) | FromUtf8(_) | LinesCodecMaxLineLengthExceeded)
        }
        watcher::Error::NoResourceVersion => true,
        watcher::Error::WatchError(_) => false,
    }
}
