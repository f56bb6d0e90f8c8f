"""Single nodes: the processes of ElastiCore, what they answer and whom they call; then the machines under them, and NGINX."""

from .panels import Board, Query, Row, Variable, figure, graph, quantiles

RATE = "[$__rate_interval]"
NODE = 'job=~"$role",instance=~"$node"'
# File systems that are not disks.
DISK = 'fstype!~"tmpfs|ramfs|overlay|squashfs|fuse.*"'

STATE = Row(
    "Nodes",
    (
        figure(
            "State",
            "Whether Prometheus reaches a node.",
            "short",
            Query(f"max by (instance) (up{{{NODE}}})", "{{instance}}"),
            words={0: "down", 1: "up"},
            warn=1,
            good_is_high=True,
            width=24,
        ),
        graph(
            "Processor time",
            "Cores in use, over five minutes: processes count whole seconds.",
            "short",
            Query(f"sum by (instance) (rate(process_cpu_seconds_total{{{NODE}}}[5m]))", "{{instance}}"),
        ),
        graph("Memory", "Resident memory.", "bytes", Query(f"sum by (instance) (process_resident_memory_bytes{{{NODE}}})", "{{instance}}")),
        graph(
            "Time since the start",
            "Falls to zero when a node starts.",
            "s",
            Query(f"max by (instance) (server_uptime_seconds{{{NODE}}})", "{{instance}}"),
        ),
        graph(
            "File descriptors",
            "Of those a process may have.",
            "percentunit",
            Query(f"max by (instance) (process_open_fds{{{NODE}}} / process_max_fds{{{NODE}}})", "{{instance}}"),
        ),
        graph("Threads", "Of the process.", "short", Query(f"sum by (instance) (process_threads{{{NODE}}})", "{{instance}}")),
        graph(
            "Time of a scrape",
            "Near 4 s, Prometheus gives up: the node is overloaded.",
            "s",
            Query(f"max by (instance) (scrape_duration_seconds{{{NODE}}})", "{{instance}}"),
        ),
    ),
)

HTTP = Row(
    "Requests",
    (
        graph(
            "Requests by route",
            "All routes, private ones included.",
            "reqps",
            Query(f"sum by (route) (rate(http_requests_total{{{NODE}}}{RATE}))", "{{route}}"),
        ),
        graph(
            "Errors by node and status",
            "Answers of 400 and more.",
            "reqps",
            Query(
                f'sum by (instance, status) (rate(http_requests_total{{{NODE},status=~"[45].."}}{RATE})) or on() vector(0)',
                "{{instance}} {{status}}",
            ),
        ),
        graph(
            "Slowest routes (p99)",
            "Eight of them. Long polls of workers are meant to be slow.",
            "s",
            Query(
                f"topk(8, histogram_quantile(0.99, sum by (le, route) (rate(http_request_duration_seconds_bucket{{{NODE}}}{RATE}))))",
                "{{route}}",
            ),
        ),
        graph(
            "In flight",
            "Requests being answered.",
            "short",
            Query(f"sum by (instance) (http_requests_in_flight{{{NODE}}})", "{{instance}}"),
        ),
    ),
)

PEERS = Row(
    "Calls between nodes",
    (
        graph(
            "Calls to peers",
            "Attempts, by result.",
            "ops",
            Query(f"sum by (result) (rate(peer_requests_total{{{NODE}}}{RATE}))", "{{result}}"),
        ),
        graph(
            "Open circuit breakers",
            "A node that gave up calling another for a while.",
            "short",
            Query(f"sum by (instance, peer) (peer_breaker_open{{{NODE}}}) > 0 or on() vector(0)", "{{instance}} to {{peer}}"),
        ),
        graph(
            "Clocks of peers",
            "How far each peer's clock is ahead of the node that asks; negative when it is behind. Answers tell whole seconds.",
            "s",
            Query(f"max by (instance, peer) (peer_clock_offset_seconds{{{NODE}}})", "{{instance}} of {{peer}}"),
        ),
        graph(
            "Calls in frames",
            "By kind, and those that failed by status.",
            "ops",
            Query(f'sum by (kind) (rate(frame_calls_total{{{NODE},status="200"}}{RATE}))', "{{kind}}"),
            Query(
                f'sum by (kind, status) (rate(frame_calls_total{{{NODE},status!="200"}}{RATE})) or on() vector(0)', "{{kind}} {{status}}"
            ),
            Query(f"sum(frame_connections{{{NODE}}})", "connections"),
        ),
        graph(
            "Time to answer a call in frames",
            "By kind.",
            "s",
            *quantiles("frame_call_duration_seconds", NODE, shares=(0.5, 0.99), by="kind"),
        ),
    ),
)

ENCRYPTION = Row(
    "Encryption (empty where it is off)",
    (
        graph(
            "Certificates: time left",
            "Until the first of each kind ends: of nodes, of what etcd is shown, of the authorities they trust. At two weeks the alert CertificateExpiresSoon fires.",
            "s",
            Query(f"min by (role) (tls_certificate_expiry_timestamp_seconds{{{NODE}}}) - time()", "{{role}}"),
        ),
        graph(
            "Connections refused in the handshake, or ended later",
            "By reason: strangers, nodes without a certificate, clients that trust another authority. Ended: certificates that have expired, authorities that are trusted no longer.",
            "ops",
            Query(f"sum by (reason) (rate(tls_handshakes_refused_total{{{NODE}}}{RATE}))", "{{reason}}"),
            Query(f"sum by (reason) (rate(tls_connections_ended_total{{{NODE}}}{RATE}))", "ended, {{reason}}"),
        ),
        graph(
            "Certificates renewed",
            "Changes of files: taken, or failed and left as they were; the log says why.",
            "short",
            Query(f"sum by (role, result) (increase(tls_reloads_total{{{NODE}}}{RATE}))", "{{role}} {{result}}"),
        ),
    ),
)

CLIENTS = Row(
    "Clients: access, limits, audit",
    (
        graph(
            "Who is let in",
            "Requests that had to show who sends them, by what became of them.",
            "reqps",
            Query(f"sum by (decision) (rate(access_decisions_total{{{NODE}}}{RATE})) or on() vector(0)", "{{decision}}"),
        ),
        graph(
            "Refused by limits",
            "Requests answered with 429 because an address or a key asked too much.",
            "reqps",
            Query(f"sum by (instance, limit) (rate(requests_limited_total{{{NODE}}}{RATE})) or on() vector(0)", "{{instance}} {{limit}}"),
        ),
        graph(
            "Connections",
            "Open, and closed in five minutes on clients that were idle when there was no room, or slow.",
            "short",
            Query(f"sum by (instance) (http_connections{{{NODE}}}) or on() vector(0)", "{{instance}}"),
            Query(f"sum by (reason) (increase(http_connections_closed_total{{{NODE}}}[5m])) or on() vector(0)", "closed: {{reason}}"),
        ),
        graph(
            "Spans of traces",
            "Sent to the collector, and dropped because it took none or not so many; 0 without one.",
            "ops",
            Query(f"sum by (outcome) (rate(trace_spans_total{{{NODE}}}{RATE})) or on() vector(0)", "{{outcome}}"),
        ),
    ),
)

HOSTS = Row(
    "Machines (node_exporter; with Compose all nodes share one)",
    (
        graph(
            "Processors",
            "Share that was not idle.",
            "percentunit",
            Query(f'1 - avg by (instance) (rate(node_cpu_seconds_total{{mode="idle"}}{RATE}))', "{{instance}}"),
            maximum=1,
        ),
        graph(
            "Memory in use",
            "Of the machine; what is only cached counts as free.",
            "percentunit",
            Query("max by (instance) (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)", "{{instance}}"),
            maximum=1,
        ),
        graph(
            "Disks in use",
            "By mount point. At 90 % the alert HostDiskNearlyFull fires.",
            "percentunit",
            Query(
                f"max by (instance, mountpoint) (1 - node_filesystem_avail_bytes{{{DISK}}} / node_filesystem_size_bytes{{{DISK}}})",
                "{{instance}} {{mountpoint}}",
            ),
            maximum=1,
        ),
        graph(
            "Disks busy",
            "Share of the time in which a disk had something to do.",
            "percentunit",
            Query(f"max by (instance, device) (rate(node_disk_io_time_seconds_total{RATE}))", "{{instance}} {{device}}"),
        ),
        graph("Load", "Processes that run or wait, over a minute.", "short", Query("max by (instance) (node_load1)", "{{instance}}")),
    ),
)

NGINX = Row(
    "NGINX and Prometheus",
    (
        graph(
            "NGINX: requests", "All that came to the front door.", "reqps", Query(f"sum(rate(nginx_http_requests_total{RATE}))", "requests")
        ),
        graph(
            "NGINX: connections",
            "Active, of them reading, writing, and waiting for the next request.",
            "short",
            Query("sum(nginx_connections_active)", "active"),
            Query("sum(nginx_connections_reading)", "reading"),
            Query("sum(nginx_connections_writing)", "writing"),
            Query("sum(nginx_connections_waiting)", "waiting"),
        ),
        graph(
            "NGINX: dropped connections",
            "Accepted and not handled: worker_connections is too low.",
            "short",
            Query("sum(increase(nginx_connections_accepted[5m])) - sum(increase(nginx_connections_handled[5m]))", "dropped"),
        ),
        graph(
            "Prometheus",
            "Samples a second, and evaluations of rules that failed in five minutes.",
            "short",
            Query(f"sum(rate(prometheus_tsdb_head_samples_appended_total{RATE}))", "samples"),
            Query("sum(increase(prometheus_rule_evaluation_failures_total[5m]))", "failed evaluations"),
        ),
    ),
)

ROLE = Variable(
    "role",
    "Role",
    "Masters, auxiliaries, workers.",
    'label_values(up{job=~"master|auxiliary|worker"}, job)',
    everything="master|auxiliary|worker",
)
CHOICE = Variable(
    "node", "Node", "Only these nodes; graphs of other dashboards lead here with one.", 'label_values(up{job=~"$role"}, instance)'
)
BOARD = Board("elasticore-nodes", "ElastiCore nodes", __doc__, (STATE, HTTP, PEERS, ENCRYPTION, CLIENTS, HOSTS, NGINX), (ROLE, CHOICE))
