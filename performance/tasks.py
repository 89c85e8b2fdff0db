"""What beat starts now and then; the jobs are in performance.maintenance, and can be done by hand."""

from celery import shared_task

from performance import maintenance, optimize_worker


@shared_task
def maintain(name: str) -> None:
    maintenance.run(maintenance.JOBS[name])


# An index of a big table takes as long as it takes.
@shared_task(soft_time_limit=24 * 60 * 60, time_limit=25 * 60 * 60)
def optimize() -> None:
    optimize_worker.look()
