#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes modelbus.json, the page that Grafana shows, beside this file; --check fails when it differs.

A panel is a line below: title, unit, and its queries with their legends. tests/k8s runs every query on a real
Prometheus that scrapes a real platform."""

import json
import pathlib
import sys

OUT = pathlib.Path(__file__).with_name("modelbus.json")
SERVICE = 'service=~"$service"'
ENDPOINT = 'endpoint=~"$endpoint"'


def rate(metric, labels, by, function="rate"):
    return f"sum by ({by}) ({function}({metric}{{{labels}}}[$__rate_interval]))"


def quantiles(metric, labels, by, legend, values=(0.5, 0.99)):
    return [(f"histogram_quantile({q}, {rate(metric + '_bucket', labels, by + ', le')})", f"p{q * 100:g} {legend}")
            for q in values]


def mean(metric, labels, by):
    return f"{rate(metric + '_sum', labels, by)} / {rate(metric + '_count', labels, by)}"


# Rows of panels: (title, unit, queries, kind); a row's panels share its width.
ROWS = {
    "Now": [
        ("Ready", "none", [("min by (service) (modelbus_ready)", "{{service}}")], "stat"),
        ("Alerts", "none", [('sum(ALERTS{alertstate="firing"}) or vector(0)', "firing")], "stat"),
        ("Rows predicted", "rowsps", [(f"sum(rate(modelbus_inference_rows_total{{{ENDPOINT}}}[$__rate_interval]))", "rows")], "stat"),
        ("Events published", "ops", [("sum(rate(modelbus_outbox_published_total[$__rate_interval]))", "events")], "stat"),
    ],
    "Predictions": [
        ("Versions that answer", "reqps",
         [(rate("modelbus_inference_requests_total", f'{ENDPOINT},status="200"', "endpoint, version"), "{{endpoint}} {{version}}")]),
        ("Answers", "reqps", [(rate("modelbus_inference_requests_total", ENDPOINT, "endpoint, status"), "{{endpoint}} {{status}}")]),
        ("Latency", "s", quantiles("modelbus_inference_request_seconds", ENDPOINT, "endpoint", "{{endpoint}}", (0.5, 0.95, 0.99))),
    ],
    "Models": [
        ("Swaps and failed loads", "none",
         [(rate("modelbus_inference_swaps_total", ENDPOINT, "endpoint", "increase"), "swaps {{endpoint}}"),
          (rate("modelbus_inference_load_failures_total", ENDPOINT, "endpoint", "increase"), "failed {{endpoint}}")]),
        ("Time to load a model", "s", quantiles("modelbus_inference_load_seconds", SERVICE, "service", "{{service}}", (0.5, 0.95))),
        ("Rows in a batch, waiting requests", "none",
         [(mean("modelbus_inference_batch_rows", ENDPOINT, "endpoint"), "rows {{endpoint}}"),
          (f"sum by (service) (modelbus_inference_queue_depth{{{SERVICE}}})", "waiting {{service}}")]),
        ("Prediction log", "rowsps", [(rate("modelbus_inference_log_rows_total", SERVICE, "service, result"), "{{service}} {{result}}")]),
    ],
    "Drift": [
        ("Windows", "none", [(rate("modelbus_monitoring_windows_total", SERVICE, "outcome", "increase"), "{{outcome}}")]),
        ("Episodes", "none", [(rate("modelbus_monitoring_episodes_total", SERVICE, "service", "increase"), "drift")]),
        ("Rows watched", "rowsps", [(rate("modelbus_monitoring_rows_total", SERVICE, "result"), "{{result}}")]),
    ],
    # Every instance of the service tells the same figures of the tables.
    "Pipelines": [
        ("Tasks", "none",
         [("max(modelbus_pipeline_attempts_pending)", "waiting"), ("max(modelbus_pipeline_attempts_running)", "running"),
          ("max(modelbus_pipeline_runs_active)", "active runs"), ("max(modelbus_pipeline_workers)", "workers")]),
        ("Oldest task that waits", "s", [("max(modelbus_pipeline_pending_oldest_seconds)", "oldest")]),
        ("Runs and triggers", "none",
         [(rate("modelbus_pipeline_runs_total", SERVICE, "status", "increase"), "{{status}}"),
          (rate("modelbus_pipeline_triggers_total", SERVICE, "result", "increase"), "trigger {{result}}")]),
        ("Trouble of tasks and workers", "none",
         [(rate("modelbus_worker_tasks_total", f'{SERVICE},status!="succeeded"', "status", "increase") + " or vector(0)", "task {{status}}"),
          (rate("modelbus_pipeline_attempts_lost_total", SERVICE, "service", "increase"), "lost"),
          (rate("modelbus_worker_poll_failures_total", SERVICE, "service", "increase"), "polls failed")]),
    ],
    "Events": [
        ("Handled", "ops", [(rate("modelbus_events_handled_total", SERVICE, "service, type"), "{{service}} {{type}}")]),
        ("Age when handled", "s", quantiles("modelbus_event_seconds", SERVICE, "service", "{{service}}")),
        ("Waiting", "none",
         [(f"sum by (service) (modelbus_consumer_lag{{{SERVICE}}})", "{{service}} to handle"),
          (f"sum by (service) (modelbus_outbox_pending{{{SERVICE}}})", "{{service}} to publish")]),
    ],
    "Trouble": [
        ("Oldest event to publish", "s", [(f"max by (service) (modelbus_outbox_oldest_seconds{{{SERVICE}}})", "{{service}}")]),
        ("Dead letters, retries, refused, dropped", "ops",
         [(rate("modelbus_events_dead_total", SERVICE, "service"), "dead {{service}}"),
          (rate("modelbus_events_retries_total", SERVICE, "service"), "retried {{service}}"),
          (rate("modelbus_outbox_refused_total", SERVICE, "service"), "refused {{service}}"),
          (rate("modelbus_bus_sender_dropped_total", SERVICE, "service"), "dropped {{service}}")]),
        ("Slowest broker's round trip, p99", "s", [(f"max by (service, role) (modelbus_bus_rtt_p99_seconds{{{SERVICE}}})", "{{service}} {{role}}")]),
    ],
    "Queries": [
        ("REST and HTTP", "reqps", [(rate("modelbus_http_requests_total", SERVICE, "service, status"), "{{service}} {{status}}")]),
        ("REST and HTTP, p99", "s", quantiles("modelbus_http_request_seconds", SERVICE, "service", "{{service}}", (0.99,))),
        ("Between services", "reqps", [(rate("modelbus_rpc_requests_total", SERVICE, "service, code"), "{{service}} {{code}}")]),
        ("Between services, p99", "s", quantiles("modelbus_rpc_seconds", SERVICE, "service", "{{service}}", (0.99,))),
    ],
    "Resources": [
        ("Processors", "none",
         [(rate("process_cpu_seconds_total", f'job="modelbus",{SERVICE}', "service"), "{{service}}"),
          (f"max(modelbus_process_cpu_limit_cores{{{SERVICE}}})", "limit")]),
        ("Memory", "bytes", [(f'sum by (service) (process_resident_memory_bytes{{job="modelbus",{SERVICE}}})', "{{service}}")]),
        ("Memory of its limit", "percentunit",
         [(f'max by (service) (process_resident_memory_bytes{{job="modelbus",{SERVICE}}} / modelbus_process_memory_limit_bytes)', "{{service}}")]),
        ("PostgreSQL, p99", "s", quantiles("modelbus_db_query_seconds", SERVICE, "service", "{{service}}", (0.99,))),
        ("PostgreSQL connections", "none", [(f"sum by (service, state) (modelbus_db_connections{{{SERVICE}}})", "{{service}} {{state}}")]),
    ],
}
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT = 24, 8


def panel(number, x, y, width, height, title, unit, queries, kind="timeseries"):
    defaults = {"unit": unit, "min": 0}
    if kind == "timeseries":
        defaults["custom"] = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
        options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    else:
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    if title == "Ready":
        steps = [{"color": "red", "value": None}, {"color": "green", "value": 1}]
        defaults |= {"thresholds": {"mode": "absolute", "steps": steps},
                     "mappings": [{"type": "value", "options": {"0": {"text": "no"}, "1": {"text": "yes"}}}]}
    if title == "Alerts":
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"color": "green", "value": None}, {"color": "red", "value": 1}]}
    targets = [{"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
               for i, (expr, legend) in enumerate(queries)]
    return {"id": number, "type": kind, "title": title, "datasource": SOURCE, "targets": targets, "options": options,
            "gridPos": {"x": x, "y": y, "w": width, "h": height}, "fieldConfig": {"defaults": defaults, "overrides": []}}


def variable(name, metric):
    return {"name": name, "type": "query", "datasource": SOURCE, "refresh": 2, "multi": True, "includeAll": True,
            "allValue": ".*", "current": {"text": "All", "value": "$__all"}, "sort": 1,
            "query": {"query": f"label_values({metric}, {name})", "refId": name}}


def dashboard():
    panels, y = [], 0
    for title, row in ROWS.items():
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
        y += 1
        height = 4 if title == "Now" else HEIGHT
        for i, words in enumerate(row):
            left, right = WIDTH * i // len(row), WIDTH * (i + 1) // len(row)
            panels.append(panel(len(panels) + 1, left, y, right - left, height, *words))
        y += height
    return {"uid": "modelbus", "title": "modelbus", "tags": ["modelbus"], "schemaVersion": 39, "version": 1,
            "editable": False, "timezone": "", "refresh": "15s", "time": {"from": "now-1h", "to": "now"},
            "templating": {"list": [variable("service", "modelbus_ready"), variable("endpoint", "modelbus_inference_rows_total")]},
            "annotations": {"list": []}, "links": [], "panels": panels}


def main():
    text = json.dumps(dashboard(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        if not OUT.exists() or OUT.read_text() != text:
            sys.exit(f"{OUT} is stale: run {sys.argv[0]}")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        OUT.write_text(text)


main()
