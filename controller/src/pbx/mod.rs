//! The PBX's REST API, as far as this product uses it.
//!
//! ```text
//! Pbx (cheap handle) ── call ──► session (sign-in, refresh, once more on 401) ──► exchange ──► HTTPS
//!                                    ▲ password: file or credential                  ▲ trust: pin or authorities
//! ```
//!
//! Owns the words of the API ([`model`]), the account's session, the trust in the PBX's certificate
//! and saying in words what went wrong ([`PbxError`]). It decides nothing: what has to be
//! registered or let in is for [`crate::portal`] and [`crate::whitelist`].
//!
//! **Nothing is repeated that may have been done.** A question is asked again where the network
//! failed; a change is not: its error says whether its outcome is unknown
//! ([`PbxError::outcome_unknown`]), and whoever asked for it looks before he asks again. Only two
//! answers are sure signs that nothing was done, and lead to another try: 401 (once a call) and 429.

mod base;
mod client;
mod connect;
mod error;
mod exchange;
mod listing;
pub mod model;
mod password;
mod session;
pub mod trust;

#[cfg(test)]
pub(crate) mod tests;

pub use base::{BaseUrl, BaseUrlError};
pub use client::{Pbx, PbxLimits, PbxSettings};
pub use error::{PbxError, Refusal};
pub use model::{
    AdminStatus, Info, IpFilter, NewIpFilter, PbxId, Presence, Server, ServerStatus, Target,
};
pub use password::{PasswordError, PasswordSource};

pub(crate) use connect::ConnectError;
pub(crate) use password::secret_line;
pub(crate) use trust::{authorities, by_authorities};
