"""A database of the size that the product is measured with: many customers with long queues, all of them active."""

import time
from uuid import UUID

from devteam.customers.card import refresh_card
from devteam.kit.clock import utc_now
from devteam.kit.db import Database, sql

_CUSTOMERS = """
    INSERT INTO customers (id, name, priority_class, time_zone, created_at)
    SELECT uuidv7(), 'Customer ' || n,
           (ARRAY['priority_customer', 'standard_customer', 'low_priority_customer'])[1 + n % 3], 'UTC', now()
    FROM generate_series(1, :customers) AS n"""
_STREAMS = "INSERT INTO stream_heads (stream) SELECT id FROM customers"
_PROJECTS = """
    INSERT INTO projects (id, customer_id, name, repository, base_branch, executor, delivery_mode,
                          monitoring_window_seconds, created_at)
    SELECT uuidv7(), id, 'project', '/srv/git/' || name, 'main', 'command', 'branch', 86400, now() FROM customers"""
_EXECUTIONS = """
    INSERT INTO executions (id, customer_id, status, created_at, started_at)
    SELECT uuidv7(), id, 'active', now(), now() FROM customers"""
_TASKS = """
    INSERT INTO tasks (id, customer_id, project_id, title, description, mode, position, status, reason_code, reason,
                       created_at, started_at, finished_at)
    SELECT uuidv7(), p.customer_id, p.id, 'Modernise module number ' || n, repeat('Details of the task. ', 10),
           'autonomous', n * 1000, status, CASE WHEN status = 'failed' THEN 'gate_failed' END,
           CASE WHEN status = 'failed' THEN 'Gate tests failed: 3 tests that passed on the base do not pass now.' END,
           now(), CASE WHEN status <> 'pending' THEN now() - interval '1 h' END,
           CASE WHEN status <> 'pending' THEN now() - interval '50 min' END
    FROM projects p, generate_series(1, :tasks) AS n,
         LATERAL (SELECT CASE WHEN n * 2 > :tasks THEN 'pending' WHEN n % 10 = 0 THEN 'failed'
                         ELSE 'completed' END AS status) s"""
_DEPENDENCIES = """
    INSERT INTO task_dependencies (customer_id, task_id, depends_on_id)
    SELECT a.customer_id, a.id, b.id
    FROM tasks a JOIN tasks b ON b.customer_id = a.customer_id AND b.position = a.position - 1000
    WHERE a.status = 'pending' AND (a.position / 1000)::int % 5 = 0"""
_ATTEMPTS = """
    INSERT INTO attempts (id, customer_id, execution_id, task_id, project_id, number, executor, phase, phase_started_at,
                          outcome, monitoring, started_at, finished_at)
    SELECT uuidv7(), t.customer_id, e.id, t.id, t.project_id, 1, 'command', 'monitoring', now() - interval '51 min',
           'succeeded', 'passed', now() - interval '1 h', now() - interval '50 min'
    FROM tasks t JOIN executions e ON e.customer_id = t.customer_id WHERE t.status = 'completed'"""


def fill(database: Database, *, customers: int, tasks: int) -> list[UUID]:
    """So many customers with so many tasks each, half of them done, every card computed by the product."""
    begun = time.monotonic()
    with database.transaction() as connection:
        for statement in (_CUSTOMERS, _STREAMS, _PROJECTS, _EXECUTIONS, _TASKS, _DEPENDENCIES, _ATTEMPTS):
            connection.execute(sql(statement), {"customers": customers, "tasks": tasks})
        ids = [row.id for row in connection.execute(sql("SELECT id FROM customers ORDER BY id"))]
    with database.statement() as connection:
        connection.execute(sql("VACUUM ANALYZE"))
    for customer_id in ids:
        with database.transaction() as connection:
            refresh_card(connection, customer_id, now=utc_now())
    print(f"{customers} customers with {tasks} tasks each, made in {time.monotonic() - begun:.0f} s")
    return ids
