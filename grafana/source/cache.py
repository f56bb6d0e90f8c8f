"""The cache: what clients do, where entries are, what namespaces hold, and whether every entry has its copies."""

from .panels import Board, Query, Row, Variable, graph, quantiles

OWNER = 'job="auxiliary",instance=~"$auxiliary"'
RATE = "[$__rate_interval]"

CLIENTS = Row(
    "Clients, as masters see them",
    (
        graph(
            "Operations",
            "Operations of clients.",
            "ops",
            Query(f'sum by (operation) (rate(cache_operations_total{{job="master"}}{RATE}))', "{{operation}}"),
        ),
        graph(
            "Hit rate",
            "Reads that found something, of all reads.",
            "percentunit",
            Query(
                f'sum(rate(cache_operations_total{{job="master",operation="get",result="hit"}}{RATE}))'
                f' / sum(rate(cache_operations_total{{job="master",operation="get",result=~"hit|miss"}}{RATE}))',
                "hit rate",
            ),
            maximum=1,
        ),
        graph(
            "Latency",
            "From routing to the owner's answer; writes wait for all copies.",
            "s",
            *quantiles("cache_request_duration_seconds", 'job="master"'),
        ),
        graph(
            "Failed operations",
            "Operations that were refused, or of which nobody knows whether they were carried out.",
            "ops",
            Query(
                f'sum by (operation, result) (rate(cache_operations_total{{job="master",result!~"hit|miss|ok"}}{RATE})) or on() vector(0)',
                "{{operation}} {{result}}",
            ),
        ),
        graph(
            "Batching",
            "Operations that travel together from a master to an auxiliary: more under load, one when idle.",
            "short",
            Query(f"sum(rate(cache_batch_operations_sum{RATE})) / sum(rate(cache_batch_operations_count{RATE}))", "operations per batch"),
        ),
        graph(
            "Refused batches",
            "Calls by an outdated ring or to a former life of a node. They come with changes of the ring, and are repeated.",
            "ops",
            Query(f"sum by (reason) (rate(cache_batches_refused_total{{{OWNER}}}{RATE})) or on() vector(0)", "{{reason}}"),
        ),
    ),
)

OWNERS = Row(
    "Auxiliaries",
    (
        graph(
            "Entries by node",
            "Entries held, copies for other nodes included.",
            "short",
            Query(f"sum by (instance) (cache_size_current{{{OWNER}}})", "{{instance}}"),
        ),
        graph(
            "Bytes by node",
            "Memory of entries and deletes; the bound is CACHE_MAX_BYTES.",
            "bytes",
            Query(f"sum by (instance) (cache_bytes_current{{{OWNER}}})", "{{instance}}"),
        ),
        graph(
            "Evictions and expirations",
            "Entries dropped for room (entries, bytes), and because their time was over.",
            "ops",
            Query(f"sum(rate(cache_expirations_total{{{OWNER}}}{RATE}))", "expired"),
            Query(f"sum by (reason) (rate(cache_evictions_total{{{OWNER}}}{RATE})) or on() vector(0)", "for room: {{reason}}"),
        ),
        graph(
            "Operations by node",
            "Operations carried out as the primary. Uneven: few keys take most of the traffic.",
            "ops",
            Query(f"sum by (instance) (rate(cache_operations_total{{{OWNER}}}{RATE}))", "{{instance}}"),
        ),
        graph(
            "Time at the node (p99)",
            "Of an operation at the node that holds the entry, without the wait for copies.",
            "s",
            *quantiles("cache_request_duration_seconds", OWNER, shares=(0.99,), by="instance"),
        ),
        graph(
            "Writes to copies",
            "Writes taken from primaries, and frames of them by result.",
            "ops",
            Query(f"sum by (instance) (rate(cache_replica_writes_total{{{OWNER}}}{RATE}))", "{{instance}}"),
            Query(f"sum by (result) (rate(cache_replication_frames_total{{{OWNER}}}{RATE}))", "frames {{result}}"),
        ),
    ),
)

CHOSEN = f'{OWNER},namespace=~"$namespace"'
READS = f"cache_namespace_reads_total{{{CHOSEN}}}{RATE}"
FOUND = f'cache_namespace_reads_total{{{CHOSEN},result="hit"}}{RATE}'
NAMESPACES = Row(
    "Namespaces",
    (
        graph(
            "Entries by namespace",
            "Copies not counted. A node that knows 256 namespaces counts others that have no quota as /others.",
            "short",
            Query(f"sum by (namespace) (cache_namespace_entries{{{CHOSEN}}})", "{{namespace}}"),
        ),
        graph(
            "Bytes by namespace",
            "Memory of these entries, keys and bookkeeping included.",
            "bytes",
            Query(f"sum by (namespace) (cache_namespace_bytes{{{CHOSEN}}})", "{{namespace}}"),
        ),
        graph(
            "Reads by namespace",
            "Reads at the nodes that hold the entries.",
            "ops",
            Query(f"sum by (namespace) (rate({READS}))", "{{namespace}}"),
        ),
        graph(
            "Hit rate by namespace",
            "Reads that found something, of all reads of the namespace.",
            "percentunit",
            Query(
                f"sum by (namespace) (rate({FOUND})) / (sum by (namespace) (rate({READS})) > 0)",
                "{{namespace}}",
            ),
            maximum=1,
        ),
        graph(
            "Evictions by namespace",
            "Entries dropped to stay within the namespace's quota, or the node's bounds.",
            "ops",
            Query(f"sum by (namespace) (rate(cache_namespace_evictions_total{{{CHOSEN}}}{RATE}))", "{{namespace}}"),
        ),
        graph(
            "Quota taken",
            "Of what PUT /namespaces/{ns} allows. A namespace that is full evicts its own entries; its hit rate says whether that hurts.",
            "percentunit",
            *(
                Query(
                    f"sum by (namespace) (cache_namespace_{what}{{{CHOSEN}}}) / sum by (namespace) (cache_namespace_quota_{what}{{{CHOSEN}}})",
                    f"{{{{namespace}}}} {what}",
                )
                for what in ("entries", "bytes")
            ),
        ),
    ),
)

COPIES = Row(
    "Copies, range sync, backups",
    (
        graph(
            "Ring phase",
            "Moving: new owners fetch. Settling: both old and new take writes. Stable: done.",
            "short",
            Query("max by (phase) (cluster_ring_phase)", "{{phase}}"),
            Query("max(cluster_under_replicated)", "too few copies"),
            Query("max(cluster_complaints)", "nodes that cannot be reached"),
        ),
        graph(
            "Replication delay",
            "Until another owner had a frame, repetitions included.",
            "s",
            *quantiles("cache_replication_seconds", OWNER, shares=(0.5, 0.99)),
        ),
        graph(
            "Range sync",
            "Entries fetched from other owners, and dropped when a change ends.",
            "ops",
            Query(f"sum by (instance) (rate(cache_sync_entries_total{{{OWNER}}}{RATE}))", "{{instance}} fetched"),
            Query(f"sum by (instance) (rate(cache_sync_dropped_total{{{OWNER}}}{RATE}))", "{{instance}} dropped"),
        ),
        graph(
            "Bytes of range sync",
            "Bounded by SYNC_BYTES_PER_SECOND.",
            "Bps",
            Query(f"sum by (instance) (rate(cache_sync_bytes_total{{{OWNER}}}{RATE}))", "{{instance}}"),
        ),
        graph(
            "Time of ring changes, range syncs and backups",
            "The p99 of an hour, since they are rare.",
            "s",
            *(
                Query(f"histogram_quantile(0.99, sum by (le) (rate({name}_bucket[1h])))", legend)
                for name, legend in (
                    ("cluster_ring_change_seconds", "change"),
                    ("cache_sync_seconds", "range sync"),
                    ("cache_backup_seconds", "backup"),
                )
            ),
        ),
        graph(
            "Age of the newest backup",
            "Near BACKUP_INTERVAL at most; the alert BackupTooOld fires after 15 minutes.",
            "s",
            Query(f"time() - (cache_backup_last_timestamp_seconds{{{OWNER}}} > 0)", "{{instance}}"),
        ),
        graph(
            "Backups",
            "In five minutes, by how they ended.",
            "short",
            Query(f"sum by (result) (increase(cache_backups_total{{{OWNER}}}[5m])) or on() vector(0)", "{{result}}"),
        ),
    ),
)

AUXILIARY = Variable(
    "auxiliary", "Auxiliary", "Only these auxiliaries, where a panel is by node.", 'label_values(up{job="auxiliary"}, instance)'
)
NAMESPACE = Variable(
    "namespace", "Namespace", "Only these namespaces, where a panel is by namespace.", "label_values(cache_namespace_entries, namespace)"
)
BOARD = Board("elasticore-cache", "ElastiCore cache", __doc__, (CLIENTS, OWNERS, NAMESPACES, COPIES), (NAMESPACE, AUXILIARY))
