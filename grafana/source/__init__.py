"""The dashboards of Grafana: what `grafana/generate` writes to grafana/dashboards."""
