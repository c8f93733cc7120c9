//! What must hold of a resolve request, whatever its body is. Shared with the fuzz target.

use khan_api::ResolveRequest;
use khan_controller::api::read_request;

/// It is read alike however it is cut into pieces, and as serde reads it wherever both take it.
pub(crate) fn check(bytes: &[u8]) {
    let whole = read_request([bytes]);
    for size in [1, 7] {
        assert_eq!(read_request(bytes.chunks(size)), whole, "in pieces of {size}");
    }
    let Ok(read) = whole else { return };
    if let Ok(expected) = serde_json::from_slice::<ResolveRequest>(bytes) {
        assert_eq!(sorted(read), sorted(expected));
    }
}

fn sorted(mut request: ResolveRequest) -> ResolveRequest {
    request.ips.sort_unstable();
    request.new.sort_unstable();
    request
}
