//! The identity layer against itself: real certificates, real sockets on 127.0.0.x, a fixed clock.
//!
//! [`lab`] holds what the others build on. A row of a table changes one thing of what works.

mod accept;
mod agents_face;
mod authority;
mod controllers_side;
mod dial;
mod key;
mod lab;
mod leaf;
mod live;
mod pin;
mod request;
mod resume;
mod token;
mod under_tonic;
mod versions;
