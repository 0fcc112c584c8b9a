//! The wire: protobuf messages and gRPC services, as generated, and the list of all methods.
//!
//! Only `extend_common::wire` and the edges of controller and agent may use these types; the
//! inside of both speaks the domain types of `extend_common`.

/// `extend.fleet.v1`
pub mod v1 {
    #![allow(missing_docs, unreachable_pub, clippy::all, clippy::too_many_lines)]
    tonic::include_proto!("extend.fleet.v1");
}

/// Every method of every service, made from the descriptors.
pub mod method {
    include!(concat!(env!("OUT_DIR"), "/methods.rs"));
}
