"""Is it well, what do users see, and which part is to be looked at: the first dashboard, from which the others are one step away."""

from .panels import Board, Query, Row, figure, graph, quantiles

CACHE, CONTROL, JOBS, NODES = "elasticore-cache", "elasticore-control", "elasticore-jobs", "elasticore-nodes"
SERVICES = 'job=~"master|auxiliary|worker"'
HITS = 'sum(rate(cache_operations_total{job="master",operation="get",result="hit"}[5m]))'
READS = 'sum(rate(cache_operations_total{job="master",operation="get",result=~"hit|miss"}[5m]))'

WELL = Row(
    "Is it well?",
    (
        figure(
            "Masters",
            "Masters that are registered. Fewer than were started: the missing ones do not reach the control store.",
            "short",
            Query('max(cluster_members{role="master"})', "masters"),
            more=CONTROL,
            bad=1,
            warn=2,
            good_is_high=True,
        ),
        figure(
            "Auxiliaries",
            "Auxiliaries in the ring, which hold the cache and the data store.",
            "short",
            Query("max(cluster_ring_members)", "auxiliaries"),
            more=CACHE,
            bad=1,
            warn=2,
            good_is_high=True,
        ),
        figure(
            "Workers",
            "Workers that ask the leader for tasks.",
            "short",
            Query("max(job_workers)", "workers"),
            more=JOBS,
            warn=1,
            good_is_high=True,
        ),
        figure(
            "Leaders",
            "Masters that hold the leader lease: one. None: jobs and ring changes stand still.",
            "short",
            Query("sum(cluster_is_leader)", "leaders"),
            more=CONTROL,
            only=1,
        ),
        figure(
            "Nodes down",
            "What Prometheus cannot scrape, exporters included.",
            "short",
            Query("count(up == 0) or vector(0)", "down"),
            more=NODES,
            warn=1,
            bad=2,
        ),
        figure(
            "Alerts",
            "Alerts that fire now; docs/troubleshooting.md says what to do about each.",
            "short",
            Query('count(ALERTS{alertstate="firing"}) or vector(0)', "firing"),
            warn=1,
            bad=3,
        ),
        figure(
            "Hit rate",
            "Reads of the cache that found something, of all reads of five minutes.",
            "percentunit",
            Query(f"{HITS} / {READS}", "hit rate"),
            more=CACHE,
            maximum=1,
        ),
        figure(
            "Youngest node",
            "Time since the last start of any node.",
            "s",
            Query(f"min(server_uptime_seconds{{{SERVICES}}})", "uptime"),
            more=NODES,
        ),
    ),
)

USERS = Row(
    "What users see",
    (
        graph(
            "Requests",
            "Requests to masters by part.",
            "reqps",
            Query('sum(rate(http_requests_total{job="master",route=~"/cache.*"}[$__rate_interval]))', "cache"),
            Query('sum(rate(http_requests_total{job="master",route=~"/kv.*"}[$__rate_interval])) or vector(0)', "kv"),
            Query(
                'sum(rate(http_requests_total{job="master",route=~"/(jobs|datasets).*"}[$__rate_interval])) or vector(0)',
                "jobs and datasets",
            ),
            stacked=True,
        ),
        graph(
            "Errors by status",
            "Answers of 400 and more. 404 of /cache is a miss, 429 and 503 were not executed, 504 is unknown.",
            "reqps",
            Query(
                'sum by (status) (rate(http_requests_total{job="master",status=~"[45].."}[$__rate_interval])) or on() vector(0)',
                "{{status}}",
            ),
            more=NODES,
        ),
        graph(
            "Latency of the cache",
            "Time of a cache operation, from routing to the owner's answer.",
            "s",
            *quantiles("cache_request_duration_seconds", 'job="master"'),
            more=CACHE,
        ),
        graph(
            "Error budget burn: availability",
            "How many times faster than allowed errors come: at 1 the budget of 30 days (0.1 % of the requests) lasts exactly 30 days.",
            "none",
            Query("max(slo:cache_errors:ratio_rate5m) / 0.001", "5 minutes"),
            Query("max(slo:cache_errors:ratio_rate1h) / 0.001", "1 hour"),
            Query("max(slo:cache_errors:ratio_rate6h) / 0.001", "6 hours"),
        ),
        graph(
            "Error budget burn: latency",
            "The same for requests slower than 250 ms, of which 1 % is allowed: the objective is a p99 of 250 ms.",
            "none",
            Query("max(slo:cache_slow:ratio_rate5m) / 0.01", "5 minutes"),
            Query("max(slo:cache_slow:ratio_rate1h) / 0.01", "1 hour"),
            Query("max(slo:cache_slow:ratio_rate6h) / 0.01", "6 hours"),
        ),
        graph(
            "NGINX",
            "Requests that passed the front door, and connections to it.",
            "short",
            Query("sum(rate(nginx_http_requests_total[$__rate_interval]))", "requests/s"),
            Query("sum(nginx_connections_active)", "connections"),
            more=NODES,
        ),
    ),
)

PARTS = Row(
    "The parts",
    (
        graph(
            "Cache operations",
            "Operations of clients, as masters count them.",
            "ops",
            Query('sum by (operation) (rate(cache_operations_total{job="master"}[$__rate_interval]))', "{{operation}}"),
            more=CACHE,
        ),
        graph(
            "Control store",
            "Time of calls to the control store. Slow here: look at its disks first.",
            "s",
            *quantiles("control_store_request_duration_seconds", shares=(0.5, 0.99)),
            more=CONTROL,
        ),
        graph(
            "Jobs that ended",
            "In five minutes, by how.",
            "short",
            Query("sum by (state) (increase(jobs_total[5m]))", "{{state}}"),
            more=JOBS,
        ),
        graph(
            "Processor time",
            "Cores in use by node, over five minutes: processes count whole seconds.",
            "short",
            Query(f"sum by (instance) (rate(process_cpu_seconds_total{{{SERVICES}}}[5m]))", "{{instance}}"),
        ),
        graph(
            "Memory",
            "Resident memory by node.",
            "bytes",
            Query(f"sum by (instance) (process_resident_memory_bytes{{{SERVICES}}})", "{{instance}}"),
        ),
        graph(
            "Jobs waiting and running",
            "Jobs of which nothing was started yet, and all that have not ended.",
            "short",
            Query("sum(jobs_queued)", "waiting"),
            Query("sum(jobs_running)", "not ended"),
            more=JOBS,
        ),
    ),
)

BOARD = Board("elasticore-overview", "ElastiCore overview", __doc__, (WELL, USERS, PARTS))
