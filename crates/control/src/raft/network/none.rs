//! The network of a cluster of one.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answer, Body, Network, NetworkError, Request};

/// A network without peers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoNetwork;

#[async_trait]
impl Network for NoNetwork {
    async fn call(&self, address: &str, _request: Request, _deadline: Duration) -> Result<Answer, NetworkError> {
        Err(NetworkError::NotSent(format!(
            "there is no way to {address} from a cluster of one"
        )))
    }

    async fn send(&self, address: &str, request: Request, _body: Body, deadline: Duration) -> Result<Answer, NetworkError> {
        self.call(address, request, deadline).await
    }
}
