"""Jobs, from left to right: are they accepted, do they wait, do they end; then the workers, and the data store they read and write."""

from .panels import Board, Query, Row, Variable, graph, quantiles

RATE = "[$__rate_interval]"
WORKER = 'instance=~"$worker"'

JOBS = Row(
    "Jobs",
    (
        graph(
            "Submissions",
            "Answers to POST /jobs. 202: accepted; 200: waited for; 400: refused; 429: a namespace is at a quota.",
            "reqps",
            Query(
                f'sum by (status) (rate(http_requests_total{{job="master",route="/jobs",method="POST"}}{RATE})) or on() vector(0)',
                "{{status}}",
            ),
        ),
        graph(
            "Jobs that ended",
            "In five minutes, by how.",
            "short",
            Query("sum by (state) (increase(jobs_total[5m]))", "{{state}}"),
            stacked=True,
        ),
        graph(
            "Jobs waiting and running",
            "Jobs of which nothing was started yet, by priority, and all that have not ended.",
            "short",
            Query("sum by (priority) (jobs_queued)", "waiting, {{priority}}"),
            Query("sum(jobs_running)", "not ended"),
        ),
        graph("Time of jobs", "From acceptance to the durable end.", "s", *quantiles("job_duration_seconds", window="5m")),
        graph(
            "Wait for a slot",
            "From when a piece of work could be started until a worker had it.",
            "s",
            *quantiles("task_wait_seconds", window="5m"),
        ),
        graph(
            "Slots",
            "Of the workers that poll the leader. All busy: more workers, or WORKER_SLOTS.",
            "short",
            Query("sum by (state) (job_slots)", "{{state}}"),
            stacked=True,
        ),
        graph(
            "Tasks",
            "Attempts that ended, by how.",
            "ops",
            Query(f'sum by (result) (rate(tasks_total{{job="master"}}{RATE})) or on() vector(0)', "{{result}}"),
        ),
        graph("Time of tasks", "From start to end at the worker.", "s", *quantiles("task_duration_seconds", window="5m")),
        graph(
            "Workers",
            "Workers that poll, those left out for a while because tasks fail there, and twins of slow tasks in five minutes.",
            "short",
            Query("max(job_workers)", "workers"),
            Query("max(job_workers_shunned)", "left out"),
            Query("sum(increase(task_twins_total[5m]))", "twins"),
        ),
    ),
)

WORKERS = Row(
    "Workers",
    (
        graph(
            "Slots in use by worker",
            "Share of a worker's slots.",
            "percentunit",
            Query(f"sum by (instance) (worker_slots_in_use{{{WORKER}}}) / sum by (instance) (worker_slots{{{WORKER}}})", "{{instance}}"),
            maximum=1,
        ),
        graph(
            "Task duration by worker (p95)",
            "One that is slower than the others: what else runs on its machine?",
            "s",
            *quantiles("task_duration_seconds", WORKER, window="5m", shares=(0.95,), by="instance"),
        ),
        graph(
            "Failed attempts by worker",
            "A worker at which tasks fail that succeed elsewhere is to be stopped.",
            "ops",
            Query(
                f'sum by (instance, result) (rate(tasks_total{{job="worker",{WORKER},result!~"done|planned|cancelled"}}[5m])) or on() vector(0)',
                "{{instance}} {{result}}",
            ),
        ),
        graph(
            "CPU of tasks by worker",
            "Cores that tasks used.",
            "short",
            Query(f"sum by (instance) (rate(task_cpu_seconds_total{{{WORKER}}}[5m]))", "{{instance}}"),
        ),
        graph(
            "Memory of tasks by worker",
            "Of WORKER_MEMORY. Near 1: tasks spill, or wait for room.",
            "percentunit",
            Query(
                f"sum by (instance) (query_memory_used_bytes{{{WORKER}}}) / sum by (instance) (query_memory_limit_bytes{{{WORKER}}})",
                "{{instance}}",
            ),
            maximum=1,
        ),
        graph(
            "Memory of a task",
            "Most that a task held at once.",
            "bytes",
            *quantiles("task_peak_memory_bytes", WORKER, window="5m", shares=(0.5, 0.95)),
        ),
        graph(
            "Tables read by worker",
            "Bytes of tables that tasks asked for.",
            "Bps",
            Query(f"sum by (instance) (rate(table_bytes_read_total{{{WORKER}}}{RATE}))", "{{instance}}"),
        ),
        graph(
            "Shuffle",
            "Files between stages: written, sent to other workers, fetched from them.",
            "Bps",
            Query(f"sum(rate(shuffle_bytes_written_total{{{WORKER}}}{RATE}))", "written"),
            Query(f"sum(rate(shuffle_bytes_served_total{{{WORKER}}}{RATE}))", "served"),
            Query(f"sum(rate(shuffle_bytes_fetched_total{{{WORKER}}}{RATE}))", "fetched"),
        ),
        graph(
            "Spilled by worker",
            "Bytes that went to disk because memory was short.",
            "Bps",
            Query(f"sum by (instance) (rate(spilled_bytes_total{{{WORKER}}}{RATE}))", "{{instance}}"),
        ),
        graph(
            "Room in WORK_DIR by worker",
            "For shuffle files and spills.",
            "bytes",
            Query(f"sum by (instance) (work_dir_free_bytes{{{WORKER}}})", "{{instance}}"),
        ),
    ),
)

DATA = Row(
    "Data store: datasets and large results (idle where blobs are in S3)",
    (
        graph("Bytes of blobs by node", "On disk, copies included.", "bytes", Query("sum by (instance) (blob_bytes)", "{{instance}}")),
        graph(
            "Room for blobs by node",
            "Below BLOB_MIN_FREE a node takes no blobs.",
            "bytes",
            Query("sum by (instance) (blob_disk_free_bytes)", "{{instance}}"),
        ),
        graph("Blobs by node", "Files held.", "short", Query("sum by (instance) (blobs)", "{{instance}}")),
        graph(
            "Operations on blobs",
            "By how they began to be answered.",
            "ops",
            Query(f"sum by (operation, result) (rate(blob_operations_total{RATE})) or on() vector(0)", "{{operation}} {{result}}"),
        ),
        graph(
            "Copies repaired",
            "In five minutes, by what was done.",
            "short",
            Query("sum by (result) (increase(blob_repairs_total[5m])) or on() vector(0)", "{{result}}"),
        ),
        graph(
            "Damaged copies found",
            "In an hour, by a read or a scrub.",
            "short",
            Query("sum by (instance) (increase(blob_damaged_total[1h]))", "{{instance}}"),
        ),
        graph(
            "Scrub by node",
            "Bytes read to see whether they are as they were written.",
            "Bps",
            Query(f"sum by (instance) (rate(blob_scrubbed_bytes_total{RATE}))", "{{instance}}"),
        ),
        graph(
            "Blobs that nothing names",
            "Found by the leader's last round, and removed in five minutes.",
            "short",
            Query("max(blob_uncovered)", "found"),
            Query("sum(increase(blob_collected_total[5m]))", "removed"),
        ),
    ),
)

VARIABLE = Variable("worker", "Worker", "Only these workers, in the row Workers.", 'label_values(up{job="worker"}, instance)')
BOARD = Board("elasticore-jobs", "ElastiCore jobs", __doc__, (JOBS, WORKERS, DATA), (VARIABLE,))
