//! Certificates of the cluster, and the encrypted connections between its nodes.
