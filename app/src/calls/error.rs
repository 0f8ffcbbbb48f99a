//! Why a call of the server brings no answer.

use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
use serde::{Deserialize, Serialize};
use wire::BoardError;

use super::codec::TextJsonEncoding;

/// The board's own word, or what was lost on the way to it. A type of its own: the trait is Leptos', and
/// [`BoardError`] is known to programs that have no Leptos.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallError(pub BoardError);

impl From<BoardError> for CallError {
    fn from(error: BoardError) -> CallError {
        CallError(error)
    }
}

impl FromServerFnError for CallError {
    type Encoder = TextJsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> CallError {
        CallError(match error {
            ServerFnErrorErr::Request(reason) => BoardError::Unreachable(reason),
            ServerFnErrorErr::Args(reason)
            | ServerFnErrorErr::MissingArg(reason)
            | ServerFnErrorErr::Deserialization(reason) => BoardError::Malformed(reason),
            other => BoardError::Internal(other.to_string()),
        })
    }
}
