# gunicorn's settings for web, read by the Procfile's command in development and in deployment alike.
import os

bind = "127.0.0.1:" + (os.environ.get("PORT") or "8000")

# Capture waits for the database more than it computes: a few threads in a few processes.
workers = int(os.environ.get("WEB_CONCURRENCY") or "2")
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS") or "4")

# A connection stays with the worker that accepted it, so a long keep-alive would pin busy desks to one
# worker; a short one still covers the requests of one page and its htmx calls.
keepalive = 2

timeout = 30
graceful_timeout = 10

# Heartbeat files on a disk can stall a worker; shared memory cannot.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

# Requests are logged by Django, structured and with their request id; here only what gunicorn has to say.
accesslog = None
errorlog = "-"

# Nobody uses gunicorn's control socket, and its place may not be writable.
control_socket_disable = True
