//! Why the server does not do what it is asked.

use serde::{Deserialize, Serialize};

use crate::FieldProblem;

/// What goes wrong when the board is asked for something, in words for the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BoardError {
    /// There is no such run or data set.
    NotFound(String),
    /// The request does not make sense now (resuming a running run, …).
    Refused(String),
    /// The recipe has problems; nothing was launched.
    Invalid(Vec<FieldProblem>),
    /// What was sent lacks a field, or one cannot be read.
    Malformed(String),
    /// The server itself has failed.
    Internal(String),
    /// The request or its answer was lost on the way (the server is away, the network is down).
    Unreachable(String),
}
