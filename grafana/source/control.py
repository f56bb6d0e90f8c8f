"""The control store and what stands on it: members, leader, ring, /kv; etcd and the built-in Raft, of which a stack has one."""

from .panels import Board, Query, Row, Variable, graph, quantiles

RATE = "[$__rate_interval]"
MASTER = 'instance=~"$master"'

CLUSTER = Row(
    "Members, leader, ring",
    (
        graph(
            "Members by role",
            "Registered nodes, and auxiliaries in the ring.",
            "short",
            Query("max by (role) (cluster_members)", "{{role}}"),
            Query("max(cluster_ring_members)", "in the ring"),
        ),
        graph(
            "Leader",
            "1 for the master that holds the leader lease.",
            "short",
            Query("sum by (instance) (cluster_is_leader)", "{{instance}}"),
        ),
        graph(
            "Ring epoch by node",
            "All alike, but for a moment; a node that stays behind does not hear the control store.",
            "short",
            Query("max by (instance) (cluster_ring_epoch)", "{{instance}}"),
            minimum=None,
        ),
        graph(
            "Changes of leader and ring",
            "In five minutes. Changes of the leader without a reason: leases are lost, look at the control store's latency.",
            "short",
            Query("max(increase(cluster_leader_changes_total[5m]))", "leader"),
            Query("sum(increase(cluster_ring_changes_total[5m]))", "ring"),
            Query("sum(increase(cluster_probe_failures_total[5m]))", "failed probes"),
        ),
        graph(
            "Complaints",
            "Auxiliaries of the ring that cannot reach each other or a master.",
            "short",
            Query("max(cluster_complaints)", "auxiliaries"),
        ),
    ),
)

STORE = Row(
    "Calls to the control store",
    (
        graph(
            "Requests",
            "By operation.",
            "ops",
            Query(f"sum by (operation) (rate(control_store_requests_total{{{MASTER}}}{RATE}))", "{{operation}}"),
        ),
        graph(
            "Failed requests",
            "By operation and result: unavailable is a store without a majority or out of reach.",
            "ops",
            Query(
                f'sum by (operation, result) (rate(control_store_requests_total{{{MASTER},result!="ok"}}{RATE})) or on() vector(0)',
                "{{operation}} {{result}}",
            ),
        ),
        graph(
            "Latency",
            "A write waits for one sync to disk at a majority.",
            "s",
            *quantiles("control_store_request_duration_seconds", MASTER),
        ),
    ),
)

KV = Row(
    "/kv",
    (
        graph(
            "Requests to /kv",
            "By method, at all masters.",
            "reqps",
            Query(
                f'sum by (method) (rate(http_requests_total{{job="master",{MASTER},route=~"/kv.*"}}{RATE})) or on() vector(0)', "{{method}}"
            ),
        ),
        graph(
            "Errors of /kv",
            "404: no such key. 412: a comparison did not hold. 503: not executed. 504: unknown.",
            "reqps",
            Query(
                f'sum by (status) (rate(http_requests_total{{job="master",{MASTER},route=~"/kv.*",status=~"[45].."}}{RATE})) or on() vector(0)',
                "{{status}}",
            ),
        ),
        graph(
            "Latency of /kv",
            "Until the answer's headers; watches answer at once and then stay.",
            "s",
            *quantiles("http_request_duration_seconds", f'job="master",{MASTER},route=~"/kv.*"'),
        ),
    ),
)

ETCD = Row(
    "etcd (empty where the built-in Raft is the control store)",
    (
        graph(
            "Members with a leader",
            "1 where a member of etcd knows the leader of etcd.",
            "short",
            Query("max by (instance) (etcd_server_has_leader)", "{{instance}}"),
        ),
        graph(
            "Changes of etcd's leader, failed proposals",
            "In five minutes.",
            "short",
            Query("max(increase(etcd_server_leader_changes_seen_total[5m]))", "leader changes"),
            Query("sum(increase(etcd_server_proposals_failed_total[5m]))", "failed proposals"),
            Query("max(etcd_server_proposals_pending)", "pending proposals"),
        ),
        graph(
            "etcd's disk (p99)",
            "Sync of the log, and commit of the database. More than 10 ms for the log is a disk too slow.",
            "s",
            Query(f"max(histogram_quantile(0.99, sum by (le, instance) (rate(etcd_disk_wal_fsync_duration_seconds_bucket{RATE}))))", "log"),
            Query(
                f"max(histogram_quantile(0.99, sum by (le, instance) (rate(etcd_disk_backend_commit_duration_seconds_bucket{RATE}))))",
                "database",
            ),
        ),
        graph(
            "Size of etcd's database",
            "At its quota etcd refuses all writes.",
            "bytes",
            Query("max by (instance) (etcd_mvcc_db_total_size_in_bytes)", "{{instance}}"),
            Query("max(etcd_server_quota_backend_bytes)", "quota"),
        ),
        graph(
            "Share of the quota",
            "The alert EtcdNearlyFull fires above 80 %.",
            "percentunit",
            Query("max by (instance) (etcd_mvcc_db_total_size_in_bytes / etcd_server_quota_backend_bytes)", "{{instance}}"),
            maximum=1,
        ),
        graph(
            "Watches of etcd",
            "Watchers, those that are behind, and events that wait for them.",
            "short",
            Query("sum(etcd_debugging_mvcc_watcher_total)", "watchers"),
            Query("sum(etcd_debugging_mvcc_slow_watcher_total)", "behind"),
            Query("sum(etcd_debugging_mvcc_pending_events_total)", "events that wait"),
        ),
    ),
)

RAFT = Row(
    "Built-in Raft (empty where etcd is the control store)",
    (
        graph(
            "Raft leader and term",
            "One leader; the term rises with each election.",
            "short",
            Query("sum(raft_is_leader)", "leaders"),
            Query("max(raft_term)", "term"),
        ),
        graph(
            "Raft log",
            "Entries applied by all masters, and revisions of the store.",
            "ops",
            Query(f"sum(rate(raft_applied_index{{{MASTER}}}{RATE}))", "applied"),
            Query(f"max(rate(control_store_revision{RATE}))", "revisions"),
        ),
        graph(
            "Sync to disk",
            "One sync serves all writes that wait for it.",
            "s",
            *quantiles("raft_fsync_seconds", MASTER, shares=(0.5, 0.99)),
        ),
        graph(
            "Commit latency",
            "From a proposal to its application at the raft leader.",
            "s",
            *quantiles("raft_commit_seconds", MASTER, shares=(0.5, 0.99)),
        ),
        graph(
            "Entries per sync",
            "The more wait, the more share a sync.",
            "short",
            Query(f"sum(rate(raft_fsync_batch_entries_sum{RATE})) / sum(rate(raft_fsync_batch_entries_count{RATE}))", "entries"),
        ),
        graph(
            "Entries and reads per message",
            "How many entries one message carries, and how many reads one question to the leader serves.",
            "short",
            Query(f"sum(rate(raft_append_entries_sum{RATE})) / sum(rate(raft_append_entries_count{RATE}))", "entries per message"),
            Query(f"sum(rate(raft_read_index_batch_sum{RATE})) / sum(rate(raft_read_index_batch_count{RATE}))", "reads per question"),
        ),
        graph(
            "Lag of members",
            "Log entries a master is behind, as the raft leader knows.",
            "short",
            Query("max by (member) (raft_member_lag_entries)", "{{member}}"),
        ),
        graph("Size of the store", "Keys and values.", "bytes", Query("max(control_store_db_bytes)", "bytes")),
        graph(
            "Calls passed on to the raft leader",
            "Followers pass writes on.",
            "ops",
            Query(f"sum by (result) (rate(raft_forwarded_calls_total{RATE}))", "{{result}}"),
        ),
        graph(
            "Changes of the raft leader, snapshots",
            "In five minutes.",
            "short",
            Query("max(increase(raft_leader_changes_total[5m]))", "leaders"),
            Query("sum by (way) (increase(raft_snapshots_total[5m])) or on() vector(0)", "snapshots {{way}}"),
        ),
        graph(
            "Disk of the raft log full",
            "1 while a master takes no writes for lack of room.",
            "short",
            Query("max by (instance) (raft_disk_full)", "{{instance}}"),
        ),
    ),
)

MASTERS = Variable(
    "master", "Master", "Only these masters, where a panel is of one master's work.", 'label_values(up{job="master"}, instance)'
)
BOARD = Board("elasticore-control", "ElastiCore control store", __doc__, (CLUSTER, STORE, KV, ETCD, RAFT), (MASTERS,))
